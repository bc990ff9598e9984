package order_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

func randomFor(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func (s *shop) tryEnqueueMissed(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		found, _, err := order.EnqueueMissed(ctx, tx, s.jobs, before, limit, 0)
		n = len(found)
		return err
	})
	return n, err
}

func (s *shop) enqueueMissed(before time.Time, limit int) int {
	s.t.Helper()
	n, err := s.tryEnqueueMissed(s.t.Context(), before, limit)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// tomorrow is after the creation of every order of a test.
func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

func TestEnqueueMissed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(sale(item("A", 1, "1")))
	first, lineless, second := s.bare(`'A', 'item', 1, 1`), s.bare(), s.bare(`'A', 'item', 1, 1`)
	byHand := s.bare(`'A', 'item', 1, 1`)
	s.exec(`insert into river_job (kind, queue, max_attempts, args) values ('process_order', 'orders', 10, jsonb_build_object('order_id', $1::bigint))`, byHand)
	cancelled := s.bare(`'A', 'item', 1, 1`)
	s.cancel(cancelled)
	s.exec(`update orders set enqueued = false where id = $1`, cancelled)
	third := s.bare(`'A', 'item', 1, 1`)
	s.exec(`update orders set created_at = now() + interval '1 day' where id = $1`, third)

	if n := s.enqueueMissed(time.Now().Add(-time.Hour), 10); n != 0 {
		t.Errorf("%d orders were enqueued before their time", n)
	}
	if n := s.enqueueMissed(time.Now().Add(time.Hour), 1); n != 1 {
		t.Errorf("%d orders, want the limit of 1", n)
	}
	if got := s.liveJobs(); got != "1 5 2" {
		t.Errorf("jobs for %s; want the oldest, 2, besides 1 and 5", got)
	}
	if n := s.enqueueMissed(time.Now().Add(time.Hour), 10); n != 3 {
		t.Errorf("%d orders, want 3: the next, the one enqueued by hand and the cancelled one", n)
	}
	if got := s.liveJobs(); got != "1 5 2 4" {
		t.Errorf("jobs for %s; want %d and %d once each", got, first, second)
	}
	if n := s.enqueueMissed(time.Now().Add(time.Hour), 10); n != 0 {
		t.Errorf("%d orders again", n)
	}
	if got := rows(s, `select string_agg(id::text, ' ' order by id) from orders where not enqueued`); got != "3 7" {
		t.Errorf("not enqueued: %s; want %d without lines and %d of tomorrow", got, lineless, third)
	}
	s.drain()
	s.wantSound()
}

func TestEnqueueMissedRefusesALimitBelowOne(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, err := s.tryEnqueueMissed(t.Context(), pgtest.Noon, 0)
	wantError(t, err, order.ErrInvalid, "limit 0 is out of range; use at least 1")
}

// An order is enqueued with all of its lines or later, never between two of them.
func TestEnqueueMissedLeavesAnOrderThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.bare(`'A', 'item', 1, 1`)
	writing := s.begin()
	s.execIn(writing, `insert into order_lines (order_id, line_no, sku, quantity, unit_price) values ($1, 2, 'B', 1, 1)`, id)
	if n := s.enqueueMissed(tomorrow(), 10); n != 0 {
		t.Errorf("%d orders, want none while a line is being added", n)
	}
	s.commit(writing)
	if n := s.enqueueMissed(tomorrow(), 10); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

func TestEnqueueMissedByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const orders = 400
	ended := make(chan struct{})
	writer := func(ctx context.Context) error {
		defer close(ended)
		for range orders / 4 {
			_, err := s.pool.Exec(ctx, `with placed as (insert into orders (number) select gen_random_uuid() from generate_series(1, 4) returning id)
				insert into order_lines (order_id, line_no, sku, quantity, unit_price) select id, 1, 'A', 1, 1 from placed`)
			if err != nil {
				return err
			}
		}
		return nil
	}
	caller := func(ctx context.Context) error {
		for {
			over := false
			select {
			case <-ended:
				over = true
			default:
			}
			n, err := s.tryEnqueueMissed(ctx, tomorrow(), 7)
			if err != nil || (over && n == 0) {
				return err
			}
		}
	}
	s.together(writer, caller, caller, caller, func(ctx context.Context) error { return s.workUntil(ctx, ended, randomFor(1)) })
	s.enqueueMissed(tomorrow(), orders) // what another caller held when the last one looked
	s.drain()
	if n := one[int](s, `select count(*) from orders where status = 'processed' and enqueued`); n != orders {
		t.Errorf("%d orders are processed, want %d", n, orders)
	}
	if n := one[int](s, `select count(*) from river_job`); n != orders {
		t.Errorf("%d jobs for %d orders", n, orders)
	}
	s.wantSound()
}

func TestEnqueueMissedLeavesAnOrderThatWasProcessed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.bare(`'A', 'item', 1, 1`)
	s.process(id)
	if n := s.enqueueMissed(tomorrow(), 10); n != 0 {
		t.Errorf("%d orders, want none: processing marks an order as enqueued", n)
	}
}
