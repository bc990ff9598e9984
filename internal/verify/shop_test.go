package verify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/internal/verify"
	"backoffice/jobs"
)

// shop is a database of its own with what the tests do to it.
type shop struct {
	t    *testing.T
	pool *pgxpool.Pool
	jobs *river.Client[pgx.Tx]
}

func newShop(t *testing.T) *shop {
	t.Helper()
	pool := pgtest.Pool(t)
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatalf("NewInserter: %v", err)
	}
	return &shop{t: t, pool: pool, jobs: inserter}
}

// inTx commits what work does.
func (s *shop) inTx(work func(context.Context, pgx.Tx) error) {
	s.t.Helper()
	ctx := s.t.Context()
	if err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return work(ctx, tx) }); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

func (s *shop) track(sku string, onHand int) {
	s.t.Helper()
	s.inTx(func(ctx context.Context, tx pgx.Tx) error { return order.Track(ctx, tx, sku, "", onHand, pgtest.Noon) })
}

func (s *shop) receive(sku string, quantity int) {
	s.t.Helper()
	s.inTx(func(ctx context.Context, tx pgx.Tx) error {
		_, _, err := order.Receive(ctx, tx, s.jobs, sku, quantity, pgtest.Noon)
		return err
	})
}

func (s *shop) place(drafts ...order.Draft) {
	s.t.Helper()
	s.inTx(func(ctx context.Context, tx pgx.Tx) error {
		_, err := order.Place(ctx, tx, s.jobs, drafts...)
		return err
	})
}

func (s *shop) cancel(number string) {
	s.t.Helper()
	s.inTx(func(ctx context.Context, tx pgx.Tx) error {
		id, err := order.FindByNumber(ctx, tx, number)
		if err != nil {
			return err
		}
		_, err = order.Cancel(ctx, tx, s.jobs, id, "", pgtest.Noon)
		return err
	})
}

const claimSQL = `
update river_job
   set state = 'running', attempt = attempt + 1, attempted_at = now(), attempted_by = '{test}'
 where id = any(array(select id from river_job where kind = 'process_order' and state = 'available' order by id limit $1))
returning (args ->> 'order_id')::bigint`

const completeSQL = `
update river_job
   set state = 'completed', finalized_at = now()
 where state = 'running'`

// work does what a worker process does with up to most jobs.
func (s *shop) work(most int) {
	s.t.Helper()
	s.inTx(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, claimSQL, most)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if _, err := order.Process(ctx, tx, s.jobs, ids, pgtest.Noon); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, completeSQL)
		return err
	})
}

func (s *shop) verify() []verify.Result {
	s.t.Helper()
	results, err := verify.Run(s.t.Context(), s.pool, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return results
}

// wantSound asserts that no check finds anything.
func (s *shop) wantSound(when string) {
	s.t.Helper()
	for _, found := range offenders(s.verify()) {
		s.t.Errorf("%s: %s", when, found)
	}
}

// offenders are one line each, in the order in which they are shown.
func offenders(results []verify.Result) []string {
	lines := []string{}
	for _, result := range results {
		for _, o := range result.Shown {
			lines = append(lines, fmt.Sprintf("%s: %s %s", result.Check.Name, o.Key, o.Wrong))
		}
	}
	return lines
}

func line(kind order.LineKind, sku string, quantity int, price string) order.Line {
	return order.Line{Kind: kind, SKU: sku, Quantity: quantity, UnitPrice: decimal.RequireFromString(price)}
}

// furnish fills the shop with an order in every state there is, each found by its number, and with a
// timetable that has run.
func (s *shop) furnish() {
	s.t.Helper()
	s.track("A", 100)
	s.track("B", 5)
	s.track("C", 0)
	s.place(
		order.Draft{Number: "sold", Lines: []order.Line{
			line(order.LineItem, "A", 3, "2.5"), line(order.LineGift, "A", 1, "0"),
			line(order.LineItem, "untracked", 2, "0.001"), line(order.LineAdjustment, "discount", 1, "-0.5")}},
		order.Draft{Number: "free", Lines: []order.Line{line(order.LineGift, "A", 1, "0")}},
		order.Draft{Number: "mixed", Lines: []order.Line{line(order.LineItem, "A", 2, "1"), line(order.LineWriteOff, "A", -1, "0")}},
		order.Draft{Number: "returned", Kind: order.KindCredit, Lines: []order.Line{line(order.LineItem, "A", -2, "2.5")}},
		order.Draft{Number: "spoilt", Kind: order.KindAdjustment, Lines: []order.Line{line(order.LineWriteOff, "A", -9000, "0")}},
		order.Draft{Number: "waiting", Lines: []order.Line{line(order.LineItem, "B", 9, "1"), line(order.LineWriteOff, "B", -2, "0")}},
		order.Draft{Number: "patient", Lines: []order.Line{line(order.LineItem, "C", 3, "1")}},
		order.Draft{Number: "woken", Lines: []order.Line{line(order.LineItem, "C", 2, "1")}},
		order.Draft{Number: "dropped", Lines: []order.Line{line(order.LineItem, "C", 4, "1")}},
	)
	s.work(100)
	s.cancel("dropped")
	s.receive("C", 3) // patient is woken and takes it
	s.work(1)
	s.exec(`delete from river_job where state = 'completed' and args ->> 'order_id' = (select id::text from orders where number = 'free')`) // as retention does
	s.receive("C", 2)
	s.place(order.Draft{Number: "placed", Lines: []order.Line{line(order.LineItem, "A", 1, "1")}})
	s.exec(`insert into orders (number) values ('typed')`)
	s.tick()
	s.exec(`insert into job_crashes (job_id, crash_count, last_crash_at, last_client_id) values (1, 2, now(), 'gone')`)
	s.report()
	s.hold()
}

// hold leaves an object of two chunks and an empty one, and a hold on a temp file, on an artifact that is
// gone for another reason, and on a row that never was.
func (s *shop) hold() {
	s.t.Helper()
	s.exec(`insert into stored_objects (path, bytes) values ('x', 7), ('empty', 0)`)
	s.exec(`insert into stored_chunks (path, n, content) values ('x', 0, '1234'), ('x', 1, '567')`)
	s.exec(`insert into temp_files (location) values ('postgres:x')`)
	s.exec(`insert into reports (job_id, type, version, format, params, status, finished_at, expired_at) values (4711, 'stock', 1, 'csv', '{}', 'completed', now(), '2025-12-30Z')`)
	s.exec(`insert into holds (target, key, reason, placed_by, placed_at) values
		('temp_files', '1', 'r', 'b', '2026-01-01Z'), ('artifacts', '1', 'r', 'b', '2026-01-01Z'), ('temp_files', 'typed by hand', 'r', 'b', '2026-01-01Z')`)
}

// report leaves a complete report of two parts, 41, one that runs and has one, 42, and one that failed, 43.
func (s *shop) report() {
	s.t.Helper()
	s.exec(`insert into reports (id, job_id, type, version, format, params, status, finished_at, rows, bytes) overriding system value values
	        (41, 901, 'order-lines', 1, 'csv', '{}', 'completed', now(), 3, 30),
	        (42, 902, 'order-lines', 1, 'csv', '{}', 'running', null, 2, 20),
	        (43, 903, 'order-lines', 1, 'csv', '{}', 'failed', now(), 0, 0)`)
	s.exec(`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at)
	        values (41, 'text/csv', 'x.csv', 3, 30, sha256(''), 2, '1s', now() + interval '1 day')`)
	s.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id) values
	        (41, 1, 'postgres:a', 2, 20, sha256(''), '', 5), (41, 2, 'postgres:b', 1, 10, sha256(''), '', 9), (42, 1, 'postgres:c', 2, 20, sha256(''), '', 5)`)
	s.exec(`insert into temp_files (location) values ('postgres:c')`)
}

// tick leaves a timetable: a tick that was missed, one that ran, one that its unfinished job kept from having
// a job of its own, and a pause.
func (s *shop) tick() {
	s.t.Helper()
	s.exec(`insert into schedules (name, kind, spec, changed_at, next_run_at) values ('often', 'reconcile_orders', 'every 30s', '2025-12-31 23:59:45Z', '2026-01-01 00:05:00Z')`)
	s.exec(`insert into schedule_gaps (schedule, from_at, until_at, cause) values ('often', '2026-01-01 00:01:30Z', '2026-01-01 00:05:00Z', 'paused')`)
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome) values ('often', '2026-01-01 00:00:00Z', 'skipped')`)
	for at, outcome := range map[string]string{"2026-01-01 00:00:30Z": "enqueued", "2026-01-01 00:01:00Z": "skipped"} {
		s.inTx(func(ctx context.Context, tx pgx.Tx) error {
			job, err := s.jobs.InsertTx(ctx, tx, jobs.ReconcileOrdersArgs{}, nil)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `insert into schedule_runs (schedule, tick_at, job_id, outcome) values ('often', $1::text::timestamptz, $2, $3)`, at, job.Job.ID, outcome)
			return err
		})
	}
}

// names replaces {number} by the id of that order, {job of number} by that of its last job, {step of
// number} by that of its last transition and {tick} by that of the timetable's job.
func (s *shop) names() *strings.Replacer {
	s.t.Helper()
	rows, err := s.pool.Query(s.t.Context(), `
		select '{' || number || '}', id::text from orders
		union all
		select '{job of ' || o.number || '}', max(j.id)::text
		  from orders o join river_job j on j.args ->> 'order_id' = o.id::text group by o.number
		union all
		select '{step of ' || o.number || '}', max(t.id)::text
		  from orders o join order_transitions t on t.order_id = o.id group by o.number
		union all
		select '{tick}', id::text from river_job where kind = 'reconcile_orders'`)
	if err != nil {
		s.t.Fatal(err)
	}
	var pairs []string
	var name, id string
	if _, err := pgx.ForEachRow(rows, []any{&name, &id}, func() error { pairs = append(pairs, name, id); return nil }); err != nil {
		s.t.Fatal(err)
	}
	return strings.NewReplacer(pairs...)
}
