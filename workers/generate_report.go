package workers

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/jobs"
)

// GenerateReportWorker works generate_report: it makes the report's parts under the fence and publishes them with
// the job's end.
type GenerateReportWorker struct {
	river.WorkerDefaults[jobs.GenerateReportArgs]
	Deps
}

// Work makes the report, or goes on where an earlier attempt has come to.
func (w *GenerateReportWorker) Work(ctx context.Context, job *river.Job[jobs.GenerateReportArgs]) error {
	finish := func(ctx context.Context, outcome queue.Outcome, work func(pgx.Tx) error) error {
		return queue.InJobTx(ctx, w.Pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) { return outcome, work(tx) })
	}
	reports := report.Worker{Pool: w.Pool, Stores: w.Stores, Log: w.Log, Settings: w.Reports}
	return reports.Work(ctx, report.Attempt{
		JobID: job.ID, CreatedAt: job.CreatedAt, Last: job.Attempt >= job.MaxAttempts, Args: job.Args,
		Part: func(ctx context.Context, work func(pgx.Tx) error) error {
			return queue.InAttemptTx(ctx, w.Pool, job.JobRow, work)
		},
		Complete: func(ctx context.Context, work func(pgx.Tx) error) error {
			return finish(ctx, queue.Completed(), work)
		},
		Cancel: func(ctx context.Context, reason string, work func(pgx.Tx) error) error {
			return finish(ctx, queue.Cancelled(reason), work)
		},
		// A job that gets on between the deaths of its processes is not what kills them.
		Advanced: func(ctx context.Context, tx pgx.Tx) error { return queue.Forgive(ctx, tx, job.ID) },
		Cancelled: func(ctx context.Context) bool {
			return errors.Is(context.Cause(ctx), rivertype.ErrJobCancelledRemotely)
		},
	})
}
