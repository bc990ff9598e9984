package workers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// placeMany places n orders of one tea each, in one transaction, and answers their ids.
func placeMany(t *testing.T, pool *pgxpool.Pool, n int) (ids []int64) {
	t.Helper()
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	drafts := make([]order.Draft, n)
	for i := range drafts {
		drafts[i].Lines = []order.Line{{SKU: "TEA", Quantity: 1, UnitPrice: decimal.New(450, -2)}}
	}
	err = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		placed, err := order.Place(t.Context(), tx, inserter, drafts...)
		for _, o := range placed {
			ids = append(ids, o.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func track(t *testing.T, pool *pgxpool.Pool, onHand int) {
	t.Helper()
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		return order.Track(t.Context(), tx, "TEA", "tea", onHand, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
}

func number(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestBadOrdersDoNotSpoilTheirNeighbours(t *testing.T) {
	t.Parallel()
	const orders = 60
	for _, tc := range []struct {
		name string
		sql  string // makes the order bad
		want string // in the error of its job
	}{
		{"refused by a constraint", `alter table ledger_entries add constraint bad_%[1]d check (order_id <> %[1]d)`, "bad_%d"},
		{"its effects are recorded already", `insert into order_effects (order_id, effect, applied_at) values (%d, 'stock', now())`, "order %d is placed, yet its effects are recorded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			track(t, pool, 1000)
			ids := placeMany(t, pool, orders)
			bad := []int64{ids[7], ids[40]}
			for _, id := range bad {
				if _, err := pool.Exec(t.Context(), fmt.Sprintf(tc.sql, id)); err != nil {
					t.Fatal(err)
				}
			}
			startWorker(t, pool)
			pgtest.Eventually(t, "every job has ended or failed", func() (bool, error) {
				return number(t, pool, `select count(*) from river_job where kind = 'process_order' and finalized_at is null and errors is null`) == 0, nil
			})
			for _, id := range ids {
				state, lastError := jobOf(t, pool, id)
				if !slices.Contains(bad, id) {
					if state != rivertype.JobStateCompleted || lastError != "" {
						t.Errorf("job of order %d is %s with the error %q", id, state, lastError)
					}
					continue
				}
				if want := fmt.Sprintf(tc.want, id); !strings.Contains(lastError, want) {
					t.Errorf("job of order %d says %q, want %q", id, lastError, want)
				}
			}
			if n := number(t, pool, `select count(*) from orders where status = 'processed'`); n != orders-len(bad) {
				t.Errorf("%d orders are processed, want %d", n, orders-len(bad))
			}
			if n := number(t, pool, `select on_hand from products where sku = 'TEA'`); n != 1000-orders+len(bad) {
				t.Errorf("%d on hand, want %d", n, 1000-orders+len(bad))
			}
			if n := number(t, pool, `select count(*) from river_job where state = 'completed' and attempt <> 1`); n != 0 {
				t.Errorf("%d neighbours needed another attempt", n)
			}
		})
	}
}

// Somebody else holds a product: orders of other products go on, and the wait costs no attempt.
func TestOrdersWaitForAHeldProductWithoutAnAttempt(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	track(t, pool, 5)
	held := placeMany(t, pool, 5)
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	var free []int64
	for range 5 {
		free = append(free, place(t, pool, inserter, order.Line{SKU: "COFFEE", Quantity: 1, UnitPrice: decimal.New(5, 0)}).ID)
	}
	other, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `select from products where sku = 'TEA' for update`); err != nil {
		t.Fatal(err)
	}
	startWorker(t, pool)
	processed := func(ids []int64) func() (bool, error) {
		return func() (bool, error) {
			return number(t, pool, `select count(*) from orders where id = any($1) and status = 'processed'`, ids) == len(ids), nil
		}
	}
	pgtest.Eventually(t, "the others are processed", processed(free))
	pgtest.Eventually(t, "the orders of the held product are put off", func() (bool, error) {
		return number(t, pool, `select count(*) from river_job where state = 'scheduled' or metadata ? 'snoozes'`) == len(held), nil
	})
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "they are processed", processed(held))
	pgtest.Eventually(t, "all jobs are completed at their first attempt", func() (bool, error) {
		return number(t, pool, `select count(*) from river_job where kind = 'process_order' and state = 'completed' and attempt = 1 and errors is null`) == len(held)+len(free), nil
	})
}

// Stock that others take meanwhile is looked at again, not held against the order's job.
func TestOrdersThatRaceForTheLastUnitsCostNoAttempt(t *testing.T) {
	t.Parallel()
	const orders, onHand = 400, 150
	for _, group := range []queue.GroupConfig{{Size: 1, Committers: 3}, {Size: 20, Committers: 3}} {
		t.Run(fmt.Sprintf("%d of a commit", group.Size), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			track(t, pool, onHand)
			placeMany(t, pool, orders)
			for _, id := range []string{"one", "two"} {
				startGroups(t, pool, id, group)
			}
			pgtest.Eventually(t, "every job has ended or failed", func() (bool, error) {
				return number(t, pool, `select count(*) from river_job where kind = 'process_order' and finalized_at is null and errors is null`) == 0, nil
			})
			for what, tc := range map[string]struct {
				sql  string
				want int
			}{
				"orders processed":                      {`select count(*) from orders where status = 'processed'`, onHand},
				"orders awaiting stock":                 {`select count(*) from orders where status = 'awaiting_stock'`, orders - onHand},
				"on hand":                               {`select on_hand from products where sku = 'TEA'`, 0},
				"jobs that have an error or burnt some": {`select count(*) from river_job where errors is not null or attempt <> 1`, 0},
			} {
				if n := number(t, pool, tc.sql); n != tc.want {
					t.Errorf("%s: %d, want %d", what, n, tc.want)
				}
			}
		})
	}
}
