package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/report/render"
	"backoffice/internal/store"
	"backoffice/jobs"
)

// DefaultRetention is how long an artifact is kept unless told otherwise.
const DefaultRetention = 30 * 24 * time.Hour

// Worker makes reports. One serves any number of attempts at once, each of which holds up to Connections of
// the pool.
type Worker struct {
	Pool   *pgxpool.Pool
	Stores *store.Stores
	Log    *slog.Logger
	Settings
}

// Settings are what may differ between workers; zero values mean the usual.
type Settings struct {
	Retention     time.Duration // how long artifacts are kept; usually DefaultRetention
	PartRows      int           // how many rows a part of an export comes to; usually 50,000: a fraction of a second of COPY, some megabytes
	WritersWithin time.Duration // how long writers that may still add to the data are waited for; usually 30 seconds
}

// orUsual fills in what is usual.
func (s Settings) orUsual() Settings {
	s.Retention = cmp.Or(s.Retention, DefaultRetention)
	s.PartRows = cmp.Or(s.PartRows, 50_000)
	s.WritersWithin = cmp.Or(s.WritersWithin, 30*time.Second)
	return s
}

// Connections is how many of the pool's one report uses at once: it reads a part, the store may take it, the
// part before is being committed, and somebody looks whether the report was cancelled.
const Connections = 4

// Attempt is one attempt of a report's job. Its functions run work in a transaction that commits only while
// the attempt is still the job's current one; their errors end the attempt.
type Attempt struct {
	JobID     int64
	CreatedAt time.Time // of the job
	Last      bool      // the job has no other attempt left
	Args      jobs.GenerateReportArgs

	Part     func(ctx context.Context, work func(pgx.Tx) error) error                // leaves the job running
	Complete func(ctx context.Context, work func(pgx.Tx) error) error                // and completes the job
	Cancel   func(ctx context.Context, reason string, work func(pgx.Tx) error) error // and cancels the job: no retry helps
	// Advanced is told, in the same transaction, that a part was recorded which no other attempt makes again.
	Advanced func(ctx context.Context, tx pgx.Tx) error
	// Cancelled says whether ctx ended because somebody cancelled the job.
	Cancelled func(ctx context.Context) bool
}

// errStopped means that the report was cancelled while it was worked.
var errStopped = errors.New("report cancelled")

// run is a report that is being made.
type run struct {
	Worker
	Attempt
	request
	id       int64
	progress progress
	output   output

	begun     []string // locations of the parts this attempt has begun
	leftovers []string // locations of parts that may belong to nothing any more
}

// Work makes the report of a job, or what is left to make of it. nil: the job is finished, completed or
// cancelled, in the transaction that said so of the report. Any other answer is the job's error, for the queue to
// retry; the report says it, too. However Work ends, what it has not published cannot be read.
func (w Worker) Work(ctx context.Context, a Attempt) error {
	w.Settings = w.orUsual()
	r := &run{Worker: w, Attempt: a}
	if err := r.work(ctx); err != nil {
		return r.end(ctx, err)
	}
	r.removeLeftovers(ctx)
	return nil
}

func (r *run) work(ctx context.Context) error {
	if r.Args.Period != "" {
		return Invalid("period", "period %s is not resolved: whoever enqueues a report resolves it; ask for it by backoffice enqueue, the API or the timetable", r.Args.Period)
	}
	var err error
	if r.request, err = check(r.Args); err != nil {
		return err
	}
	done, err := r.begin(ctx)
	if err != nil || done {
		return err
	}
	// Whether it was cancelled is publish's own question: a look that meets the commit would find the attempt over.
	working, stopWatching := r.watch(ctx)
	if err := stopWatching(r.make(working)); err != nil {
		return err
	}
	return r.publish(ctx)
}

// make writes all of the report's parts.
func (r *run) make(ctx context.Context) error {
	made, err := r.settleWatermark(ctx)
	if err != nil {
		return err
	}
	if r.kind.Export != nil && (r.format == render.FormatCSV || r.format == render.FormatJSONL) {
		return r.export(ctx)
	}
	return r.document(ctx, made)
}

// A failed report whose job runs again was retried by an operator.
const (
	beginSQL = `
with /* report.begin */ before as (
  select version
    from reports
   where id = $1
     for update
)
update reports
   set status = 'running',
       version = $2,
       started_at = coalesce(started_at, clock_timestamp()),
       finished_at = null,
       error = null
  from before
 where id = $1
   and status in ('queued', 'running', 'failed')
returning before.version`
	statusSQL = `
select /* report.begin */ status
  from reports
 where id = $1`
)

// begin marks the report as running and looks how far earlier attempts have come. done: there is nothing
// left to do, and the job is finished.
func (r *run) begin(ctx context.Context) (done bool, err error) {
	var status Status
	err = r.Part(ctx, func(tx pgx.Tx) error {
		if r.id, err = record(ctx, tx, r.JobID, r.CreatedAt, r.request); err != nil {
			return err
		}
		var version int // that earlier attempts have made parts of
		err := tx.QueryRow(ctx, beginSQL, r.id, r.kind.Version).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return tx.QueryRow(ctx, statusSQL, r.id).Scan(&status)
		}
		if err != nil {
			return fmt.Errorf("begin report %d: %w", r.id, err)
		}
		return r.resume(ctx, tx, version)
	})
	switch {
	case err != nil:
		return false, err
	case status == StatusCancelled:
		return false, errStopped
	case status == StatusCompleted: // somebody ran its job once more
		return true, r.Complete(ctx, func(pgx.Tx) error { return nil })
	}
	return false, nil
}

// sheetsRead is the share of the work on an xlsx that is done once its rows are read: they are put together then.
const sheetsRead = 0.65

// document writes a report that is one document, from its beginning.
func (r *run) document(ctx context.Context, made time.Time) error {
	r.output.lastID = r.output.watermark
	src := &Source{DB: r.Pool, Params: r.params, Format: r.format, Watermark: r.output.watermark, Made: made, Progress: r.progress.tell}
	if r.format == render.FormatXLSX {
		src.Progress = func(done float64, rows int64) { r.progress.tell(done*sheetsRead, rows) }
	}
	doc, err := r.kind.Build(ctx, src)
	if err != nil {
		return fmt.Errorf("read the data of report %d: %w", r.id, err)
	}
	w := &splitter{ctx: ctx, run: r}
	rows, err := render.Write(w, r.format, doc)
	if err != nil {
		return fmt.Errorf("write report %d: %w", r.id, err)
	}
	r.output.rows = rows
	return w.finish()
}
