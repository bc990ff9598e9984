package workers

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"backoffice/internal/cleanup"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

const (
	// cleanUpBudget is how long one attempt goes on before others of the queue get their turn.
	cleanUpBudget = time.Minute
	// cleanUpPause is how long the job then waits.
	cleanUpPause = time.Second
)

// CleanUpWorker works clean_up: it deletes what is past its retention.
type CleanUpWorker struct {
	river.WorkerDefaults[jobs.CleanUpArgs]
	Deps
	Budget time.Duration // 0: a minute
}

// Work deletes batch by batch, each under the fence. When its time is up the job is put off for a moment
// and goes on with the runs it has begun; a snooze takes no attempt. What a safety cap refused cancels the
// job: a person has to look.
func (w *CleanUpWorker) Work(ctx context.Context, job *river.Job[jobs.CleanUpArgs]) error {
	cleaner := cleanup.Cleaner{
		Pool: w.Pool, Stores: w.Stores, Log: w.Log, JobID: job.ID, Budget: cmp.Or(w.Budget, cleanUpBudget),
		Fence: func(ctx context.Context, work func(pgx.Tx) error) error {
			return queue.InAttemptTx(ctx, w.Pool, job.JobRow, work)
		},
	}
	outcome, err := cleaner.Run(ctx, job.Args)
	switch {
	case outcome.More: // what has failed beside is tried again, and is the job's error once there is no more
		if err != nil {
			w.Log.WarnContext(ctx, "cleanup put off with errors", "job_id", job.ID, "error", err)
		}
		return river.JobSnooze(cleanUpPause)
	case errors.Is(err, cleanup.ErrNotFound):
		outcome.Refused = append(outcome.Refused, err.Error())
	case err != nil:
		return err
	}
	return queue.InJobTx(ctx, w.Pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) {
		if err := cleanup.Close(ctx, tx, job.ID); err != nil || len(outcome.Refused) == 0 {
			return queue.Completed(), err
		}
		return queue.Cancelled(strings.Join(outcome.Refused, "; ")), nil
	})
}
