package workers_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/jobs"
	"backoffice/workers"
)

// Orders that a trigger of somebody's refuses to change, more than one transaction looks at, stop none that
// come after them.
func TestReconcileGoesOnHoweverManyOrdersFail(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pool.Exec(t.Context(), `
with placed as (
insert into orders (number, created_at)
select case when n <= 1100 then 'bad-' else 'sound-' end || n, now() - interval '1 minute'
  from generate_series(1, 1101) n
returning id)
insert into order_lines (order_id, line_no, sku, quantity, unit_price) select id, 1, 'A', 1, 1 from placed;
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'order % is not yours', new.number; end $$;
create trigger refuse before update on orders for each row when (new.number like 'bad-%') execute function refuse()`)
	if err != nil {
		t.Fatal(err)
	}
	worker := workers.ReconcileOrdersWorker{Deps: workers.Deps{Pool: pool, Jobs: inserter, Log: slog.New(slog.DiscardHandler)}}
	err = worker.Work(t.Context(), &river.Job[jobs.ReconcileOrdersArgs]{})
	if err == nil {
		t.Fatal("nothing is said of the orders that failed")
	}
	if n := strings.Count(err.Error(), "is not yours"); n == 0 || n > 100 {
		t.Errorf("the error names %d orders, want some and not all", n)
	}
	var number string
	if err := pool.QueryRow(t.Context(), `select string_agg(number, ' ') from orders where enqueued`).Scan(&number); err != nil || number != "sound-1101" {
		t.Errorf("enqueued are %q (%v), want the sound one", number, err)
	}
}
