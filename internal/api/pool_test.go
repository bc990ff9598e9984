package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

// narrow is a pool of few connections to the shop's database.
func (s *shop) narrow(connections int32) *pgxpool.Pool {
	s.t.Helper()
	config := s.pool.Config()
	config.MaxConns, config.MinConns = connections, 0
	pool, err := pgxpool.NewWithConfig(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	return pool
}

func TestPagesAndProbesDoNotWaitBehindLocks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	look := s.narrow(2)
	service := s.api(func(cfg *api.Config) {
		cfg.Pool, cfg.Look = s.narrow(2), look
		cfg.Ready = func(ctx context.Context) error { return postgres.Writable(ctx, look) }
	})
	s.serve(service)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // nothing to keep
	if _, err := tx.Exec(t.Context(), `insert into customers (number) values ('7')`); err != nil {
		t.Fatal(err)
	}
	const posts = 2
	answers := make(chan answer, posts)
	for range posts {
		go func() {
			got, err := s.try(http.MethodPost, "/api/orders", `{"customer":"7",`+sale[1:])
			if err != nil {
				t.Error(err)
			}
			answers <- got
		}()
	}
	pgtest.Eventually(t, "all connections wait for the customer", func() (bool, error) {
		return one[int](s, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == posts, nil
	})
	for _, path := range []string{"/readyz", "/", "/orders"} {
		if got := s.get(path); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if n := len(answers); n > 0 {
		t.Errorf("%d requests were answered before the pages: they did not hold their connections meanwhile", n)
	}
	for range posts { // the lock is held to the end of the test: they give up
		got := <-answers
		if p := s.refused(got, http.StatusServiceUnavailable, "", "others hold"); p.Type != "urn:backoffice:problem:busy" || got.header.Get("Retry-After") == "" {
			t.Errorf("answered %s", got.body)
		}
	}
}

func TestStoryOfAnOrderIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(sale)
	narrow := s.narrow(1)
	s.serve(s.api(func(cfg *api.Config) { cfg.Pool = narrow }))
	path := fmt.Sprintf("/api/orders/%d", id)
	s.get(path) // the connection knows the statements from now on
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // committed below
	if _, err := tx.Exec(t.Context(), `lock table order_transitions in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer, 1)
	go func() {
		got, err := s.try(http.MethodGet, path, "")
		if err != nil {
			t.Error(err)
		}
		answers <- got
	}()
	pgtest.Eventually(t, "the order is read and its changes are waited for", func() (bool, error) {
		return one[int](s, `select count(*) from pg_locks where relation = 'order_transitions'::regclass and not granted`) == 1, nil
	})
	for _, sql := range []string{
		`update orders set status = 'cancelled'`,
		`insert into order_transitions (order_id, from_status, to_status, at) select id, 'placed', 'cancelled', now() from orders`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	story := must[struct {
		Order       struct{ Status string }
		Transitions []struct{ To string }
	}](s, <-answers, http.StatusOK)
	if story.Order.Status != "placed" || len(story.Transitions) != 0 {
		t.Errorf("an order that is %s has the changes %v", story.Order.Status, story.Transitions)
	}
}
