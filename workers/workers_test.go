package workers_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/store"
	"backoffice/jobs"
	"backoffice/workers"
)

func TestEveryKindDeclaresAllOfItsContract(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, contract := range workers.Contracts() {
		if err := contract.Check(); err != nil {
			t.Error(err)
		}
		if seen[contract.Kind] {
			t.Errorf("kind %q is registered twice", contract.Kind)
		}
		seen[contract.Kind] = true
	}
}

func TestDecodeRefusesAnUnknownKind(t *testing.T) {
	t.Parallel()
	_, err := workers.Decode("proces_order", []byte(`{"order_id": 1}`))
	if want := `kind "proces_order" is unknown; this build knows clean_up, generate_report, process_order, reconcile_orders`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

// startWorker runs every kind of the build on pool until the test ends.
func startWorker(t *testing.T, pool *pgxpool.Pool) *river.Client[pgx.Tx] {
	t.Helper()
	return startGroups(t, pool, "test", queue.DefaultGroup())
}

// startGroups is startWorker for a process whose jobs share commits in its own way.
func startGroups(t *testing.T, pool *pgxpool.Pool, clientID string, group queue.GroupConfig) *river.Client[pgx.Tx] {
	t.Helper()
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	stores, err := store.Open(t.Context(), "postgres:", pool)
	if err != nil {
		t.Fatal(err)
	}
	registered, err := workers.Register(workers.Deps{Pool: pool, Jobs: inserter, Now: time.Now, Group: group, Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	client, err := queue.NewWorker(pool, queue.WorkerConfig{
		ClientID: clientID, Queues: map[string]int{jobs.QueueOrders: 100, jobs.QueueMaintenance: 1},
		Workers: registered, Contracts: workers.Contracts(), SoftStop: 10 * time.Second, RescueAfter: time.Hour,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.StopAndCancel(context.Background()) })
	return inserter
}

func place(t *testing.T, pool *pgxpool.Pool, enq jobs.Enqueuer, lines ...order.Line) order.Order {
	t.Helper()
	var placed []order.Order
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) (err error) {
		placed, err = order.Place(t.Context(), tx, enq, order.Draft{Lines: lines})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return placed[0]
}

// jobOf is the state of an order's newest job and the last error it recorded.
func jobOf(t *testing.T, pool *pgxpool.Pool, id int64) (state rivertype.JobState, lastError string) {
	t.Helper()
	err := pool.QueryRow(t.Context(), `select job_state, coalesce(last_error, '') from inspect.orders where id = $1`, id).Scan(&state, &lastError)
	if err != nil {
		t.Fatal(err)
	}
	return state, lastError
}

func TestProcessOrderTurnsTheAnswerIntoTheJobsEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		line   order.Line
		onHand int
		status order.Status
		state  rivertype.JobState
		reason string
	}{
		{"in stock", order.Line{SKU: "TEA", Quantity: 2, UnitPrice: decimal.RequireFromString("0.001")}, 2,
			order.StatusProcessed, rivertype.JobStateCompleted, ""},
		{"short of stock", order.Line{SKU: "TEA", Quantity: 2, UnitPrice: decimal.RequireFromString("4.5")}, 1,
			order.StatusAwaitingStock, rivertype.JobStateCompleted, ""},
		{"a write-off beyond the stock", order.Line{SKU: "TEA", Quantity: -2}, 1,
			order.StatusRejected, rivertype.JobStateCancelled, "writes off 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				return order.Track(t.Context(), tx, "TEA", "tea", tc.onHand, time.Now())
			})
			if err != nil {
				t.Fatal(err)
			}
			placed := place(t, pool, startWorker(t, pool), tc.line)
			var state rivertype.JobState
			var lastError string
			pgtest.Eventually(t, "the job is final", func() (bool, error) {
				state, lastError = jobOf(t, pool, placed.ID)
				return state == tc.state, nil
			})
			if !strings.Contains(lastError, tc.reason) {
				t.Errorf("the job says %q, want %q in it", lastError, tc.reason)
			}
			stored, err := order.Get(t.Context(), pool, placed.ID)
			if err != nil {
				t.Fatal(err)
			}
			if stored.Status != tc.status || !strings.Contains(stored.Reason, tc.reason) {
				t.Errorf("order is %s (%q), want %s (%q)", stored.Status, stored.Reason, tc.status, tc.reason)
			}
		})
	}
}

func TestProcessOrderOfNoOrderIsCancelled(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	inserted, err := startWorker(t, pool).Insert(t.Context(), jobs.ProcessOrderArgs{OrderID: 4711}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var job rivertype.JobState
	var reason string
	pgtest.Eventually(t, "the job is cancelled", func() (bool, error) {
		err := pool.QueryRow(t.Context(), `select state, coalesce(last_error, '') from inspect.jobs where id = $1`, inserted.Job.ID).Scan(&job, &reason)
		return job == rivertype.JobStateCancelled, err
	})
	if !strings.Contains(reason, "4711") {
		t.Errorf("the reason %q does not name the order", reason)
	}
}

func TestReconcileOrdersEnqueuesWhatPlainSQLInserted(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	inserter := startWorker(t, pool)
	var missed, young, empty int64
	insert := func(id *int64, age string, lines bool) {
		if err := pool.QueryRow(t.Context(), `insert into orders (created_at) values (now() - $1::interval) returning id`, age).Scan(id); err != nil {
			t.Fatal(err)
		}
		if lines {
			if _, err := pool.Exec(t.Context(), `insert into order_lines (order_id, line_no, sku, quantity, unit_price) values ($1, 1, 'TEA', 1, 4.5)`, *id); err != nil {
				t.Fatal(err)
			}
		}
	}
	insert(&missed, "3 seconds", true)
	insert(&young, "-1 hour", true)
	insert(&empty, "3 seconds", false)
	if _, err := inserter.Insert(t.Context(), jobs.ReconcileOrdersArgs{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		id   int64
		want order.Status
	}{{missed, order.StatusProcessed}, {young, order.StatusPlaced}, {empty, order.StatusPlaced}} {
		pgtest.Eventually(t, "the order is "+string(tc.want), func() (bool, error) {
			stored, err := order.Get(t.Context(), pool, tc.id)
			return stored.Status == tc.want, err
		})
	}
}

func TestReconcileOrdersEnqueuesWhatWasLost(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	enq, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	lost := place(t, pool, enq, order.Line{SKU: "TEA", Quantity: 1, UnitPrice: decimal.RequireFromString("4.5")})
	if _, err := pool.Exec(t.Context(), `delete from river_job`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `update orders set created_at = now() - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	if _, err := startWorker(t, pool).Insert(t.Context(), jobs.ReconcileOrdersArgs{}, nil); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "the order is processed", func() (bool, error) {
		stored, err := order.Get(t.Context(), pool, lost.ID)
		return stored.Status == order.StatusProcessed, err
	})
}
