package report_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/internal/verify"
	"backoffice/jobs"
	"backoffice/workers"
)

// office is a database of the test's own, a store of files, and what the tests do to them.
type office struct {
	t        *testing.T
	pool     *pgxpool.Pool
	inserter *queue.Client
	stores   *store.Stores
	settings report.Settings
}

func newOffice(t *testing.T) *office {
	t.Helper()
	return newOfficeIn(t, "file://"+t.TempDir()+"/artifacts")
}

func newOfficeIn(t *testing.T, storeURL string) *office {
	t.Helper()
	pool := pgtest.Pool(t)
	inserter, err := queue.NewInserter(pool)
	must(t, err)
	stores, err := store.Open(t.Context(), storeURL, pool)
	must(t, err)
	t.Cleanup(func() { must(t, stores.Close()) })
	return &office{t: t, pool: pool, inserter: inserter, stores: stores, settings: report.Settings{PartRows: 100}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.pool.Exec(o.t.Context(), sql, args...); err != nil {
		o.t.Fatalf("%s: %v", sql, err)
	}
}

// number is the only value of a query.
func (o *office) number(sql string, args ...any) (n int) {
	o.t.Helper()
	if err := o.pool.QueryRow(o.t.Context(), sql, args...).Scan(&n); err != nil {
		o.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// Descriptions hold all that a format must quote. Every tenth order waits for stock first and so has two
// transitions; orders of the second customer come from abroad.
const processSQL = `
with placed as (
  insert into orders (number, customer_id, country, currency, placed_at)
  select format('%s-%s', $1::text, n), (select id from customers where number = (array['C-1', 'C-2', null])[n % 3 + 1]),
         (array['United Kingdom', 'EIRE', null])[n % 3 + 1], case when n % 7 = 0 then 'EUR' else 'GBP' end,
         timestamptz '2026-01-01 00:00Z' + n * interval '1 hour'
    from generate_series(1, $2) n
  returning id
)
insert into order_lines (order_id, line_no, line_kind, sku, description, quantity, unit_price)
select id, line_no, case when line_no = 3 then 'gift' else 'item' end, format('SKU "%s"', line_no),
       (array[null, '', 'plain', e'a, "b"\nc\\d\t\x01', 'Grüße, 漢字'])[(id + line_no) % 5 + 1], line_no * 2 - 5, case when line_no = 3 then 0 else line_no + 0.125 end
  from placed
 cross join generate_series(1, 4) line_no`

// process stores so many orders of four lines each, and their way to processed.
func (o *office) process(prefix string, orders int) {
	o.t.Helper()
	o.exec(`insert into customers (number) values ('C-1'), ('C-2') on conflict do nothing`)
	o.exec(processSQL, prefix, orders)
	o.exec(`insert into order_transitions (order_id, from_status, to_status, at)
	        select id, from_status, to_status, timestamptz '2026-03-01 12:00:00.5Z' + id * interval '1 microsecond'
	          from (select id, 'placed' as from_status, 'awaiting_stock' as to_status, 1 as step from orders where status = 'placed' and id % 10 = 0
	                union all
	                select id, case when id % 10 = 0 then 'awaiting_stock' else 'placed' end, 'processed', 2 from orders where status = 'placed') steps
	         order by step, id % 17, id`)
	o.exec(`update orders set status = 'processed' where status = 'placed'`)
}

// request asks for a report.
func (o *office) request(args jobs.GenerateReportArgs) report.Requested {
	o.t.Helper()
	requested, err := o.tryRequest(args)
	must(o.t, err)
	return requested
}

func (o *office) tryRequest(args jobs.GenerateReportArgs) (requested report.Requested, err error) {
	err = postgres.InTx(o.t.Context(), o.pool, func(tx pgx.Tx) (err error) {
		requested, err = report.Request(o.t.Context(), tx, o.inserter, args, pgtest.Noon)
		return err
	})
	return requested, err
}

// orderLines are the args of an export.
func orderLines(format string, params map[string]string) jobs.GenerateReportArgs {
	args := jobs.GenerateReportArgs{Type: "order-lines", Format: format}
	if len(params) > 0 {
		args.Params, _ = json.Marshal(params) // of strings: it cannot fail
	}
	return args
}

// work starts a worker process's reports, until the function it answers is called or the test ends.
func (o *office) work(clientID string) (stop func()) {
	o.t.Helper()
	registered, err := workers.Register(workers.Deps{Pool: o.pool, Jobs: o.inserter, Now: time.Now, Group: queue.DefaultGroup(), Stores: o.stores, Reports: o.settings})
	must(o.t, err)
	client, err := queue.NewWorker(o.pool, queue.WorkerConfig{
		ClientID: clientID, Queues: map[string]int{jobs.QueueReports: 2}, Workers: registered, Contracts: workers.Contracts(),
		SoftStop: 10 * time.Millisecond, RescueAfter: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	must(o.t, err)
	must(o.t, client.Start(context.Background()))
	stop = func() { _ = client.StopAndCancel(context.Background()) }
	o.t.Cleanup(stop)
	return stop
}

func (o *office) get(id int64) report.Report {
	o.t.Helper()
	found, err := report.Get(o.t.Context(), o.pool, id)
	must(o.t, err)
	return found
}

// await waits until the report and its job have ended, the report as wanted.
func (o *office) await(id int64, want report.Status) report.Report {
	o.t.Helper()
	var found report.Report
	pgtest.Eventually(o.t, "the report is "+string(want), func() (bool, error) {
		var err error
		found, err = report.Get(o.t.Context(), o.pool, id)
		return found.Status.Final(), err
	})
	if found.Status != want {
		o.t.Fatalf("report is %s (%s), want %s", found.Status, found.Error, want)
	}
	pgtest.Eventually(o.t, "the job has ended", func() (bool, error) {
		return o.number(`select count(*) from river_job where id = $1 and finalized_at is null`, found.JobID) == 0, nil
	})
	return found
}

// make asks for a report and answers its bytes, once they were checked against the manifest.
func (o *office) make(args jobs.GenerateReportArgs) ([]byte, report.Report) {
	o.t.Helper()
	found := o.await(o.request(args).Report.ID, report.StatusCompleted)
	return o.read(found.ID), found
}

// read answers the bytes of a report, which must be those of its manifest.
func (o *office) read(id int64) []byte {
	o.t.Helper()
	content, manifest, err := report.Open(o.t.Context(), o.pool, o.stores, id, 0)
	must(o.t, err)
	defer content.Close()
	read, err := io.ReadAll(content)
	must(o.t, err)
	if sum := sha256.Sum256(read); int64(len(read)) != manifest.Bytes || hex.EncodeToString(sum[:]) != manifest.SHA256 {
		o.t.Errorf("report %d: %d bytes with checksum %x, but the manifest is %+v", id, len(read), sum, manifest)
	}
	return read
}

// wantSound asserts that what lies in tables and stores is what it should be, and nothing else lies there.
func (o *office) wantSound() {
	o.t.Helper()
	checked, err := verify.Artifacts(o.t.Context(), o.pool, o.stores, nil)
	must(o.t, err)
	for _, offender := range checked.Shown {
		o.t.Errorf("artifact %s %s", offender.Key, offender.Wrong)
	}
	results, err := verify.Run(o.t.Context(), o.pool, nil)
	must(o.t, err)
	for _, result := range results {
		if result.Check.Name == "report_artifacts" || result.Check.Name == "report_parts" {
			for _, offender := range result.Shown {
				o.t.Errorf("report %s %s", offender.Key, offender.Wrong)
			}
		}
	}
	objects := map[string]bool{}
	stored, err := o.stores.List(o.t.Context(), o.stores.Name(), "", 10_000)
	must(o.t, err)
	for _, object := range stored {
		objects[o.stores.Location(object.Path)] = true
	}
	rows, err := o.pool.Query(o.t.Context(), `select location from artifact_parts union select location from temp_files`)
	must(o.t, err)
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(o.t, err)
	for _, location := range known {
		delete(objects, location)
	}
	for location := range objects {
		o.t.Errorf("object %s belongs to nothing", location)
	}
}
