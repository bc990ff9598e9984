package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/postgres"
)

// ErrAttemptLost means that the attempt is no longer ours: its job was taken back, finished or deleted
// meanwhile. The transaction was rolled back; the worker returns the error and nothing is recorded.
var ErrAttemptLost = errors.New("attempt lost")

// rollbackWithin bounds a rollback, which runs even though the job's own context has ended.
const rollbackWithin = 5 * time.Second

// Outcome is the final state a job is given in the transaction of its effects. Only final states exist
// here: an error, a retry or a snooze rolls the transaction back and is River's to record.
type Outcome struct {
	state  rivertype.JobState
	reason string
}

// Completed says that the job did what it was for.
func Completed() Outcome { return Outcome{state: rivertype.JobStateCompleted} }

// Cancelled says that no retry can help; the reason is kept among the job's errors.
func Cancelled(reason string) Outcome {
	return Outcome{state: rivertype.JobStateCancelled, reason: reason}
}

// The row is found by id alone and judged after it is locked: with the state in the predicate and
// statistics gone stale, the planner walks the index of all running jobs instead.
const fenceSQL = `
select /* queue.InJobTx */ state = 'running' and attempted_at = $2
  from river_job
 where id = $1
   for update`

const finishSQL = `
update /* queue.InJobTx */ river_job
   set state = $2,
       finalized_at = clock_timestamp(),
       errors = case when $3::jsonb is null then errors else array_append(errors, $3) end
 where id = $1`

// InJobTx runs work in a transaction that commits only if this attempt of the job is still ours, and
// gives the job its final state in the same commit: effects and completion happen together or not at
// all, however often the job is delivered. It locks the job's row first, so that nobody takes the job
// back while work runs; work therefore reads and writes the database only and calls nothing outside.
//
// An error of work, or a context that ends, rolls back and is returned for River to retry. When the
// attempt is no longer ours the answer wraps ErrAttemptLost and work was not called.
func InJobTx(ctx context.Context, pool *pgxpool.Pool, job *rivertype.JobRow, work func(pgx.Tx) (Outcome, error)) error {
	var outcome Outcome
	err := InAttemptTx(ctx, pool, job, func(tx pgx.Tx) (err error) {
		if outcome, err = work(tx); err != nil {
			return err
		}
		return finish(ctx, tx, job, outcome)
	})
	if err == nil {
		noteOutcome(ctx, outcome)
	}
	return err
}

// InAttemptTx runs work in a transaction that commits only if this attempt of the job is still ours, and
// leaves the job running: for the parts of long work, whose last one is InJobTx's. Its errors are those of
// InJobTx.
func InAttemptTx(ctx context.Context, pool *pgxpool.Pool, job *rivertype.JobRow, work func(pgx.Tx) error) error {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{CommitQuery: postgres.CommitInTurn})
	if err != nil {
		return stopped(ctx, fmt.Errorf("begin for job %d: %w", job.ID, err))
	}
	defer rollback(ctx, tx)
	if err := fence(ctx, tx, job); err != nil {
		return stopped(ctx, err)
	}
	if err := work(tx); err != nil {
		return stopped(ctx, err)
	}
	if err := tx.Commit(ctx); err != nil {
		return stopped(ctx, fmt.Errorf("commit job %d: %w", job.ID, err))
	}
	return nil
}

// fence locks the job's row and proves that this attempt still holds the job. attempted_at is the
// token: River sets it at every fetch, while snoozing and interrupting take the attempt number back.
func fence(ctx context.Context, tx pgx.Tx, job *rivertype.JobRow) error {
	if job.AttemptedAt == nil {
		return fmt.Errorf("fence job %d: it was never attempted", job.ID)
	}
	var ours bool
	err := tx.QueryRow(ctx, fenceSQL, job.ID, *job.AttemptedAt).Scan(&ours)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && !ours:
		return fmt.Errorf("job %d, attempt %d: %w", job.ID, job.Attempt, ErrAttemptLost)
	case err != nil:
		return fmt.Errorf("fence job %d: %w", job.ID, err)
	}
	return nil
}

// finish writes the final state of a job whose row fence has locked.
func finish(ctx context.Context, tx pgx.Tx, job *rivertype.JobRow, outcome Outcome) error {
	attemptError, err := outcome.attemptError(job)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, finishSQL, job.ID, string(outcome.state), attemptError); err != nil {
		return fmt.Errorf("finish job %d: %w", job.ID, err)
	}
	return nil
}

// attemptError is the outcome's reason as an entry of river_job.errors, nil when it has none. It is
// text: without prepared statements bytes would be sent as bytea. An outcome that is not final is refused.
func (o Outcome) attemptError(job *rivertype.JobRow) (*string, error) {
	switch o.state {
	case rivertype.JobStateCompleted:
		return nil, nil
	case rivertype.JobStateCancelled:
		encoded, err := json.Marshal(rivertype.AttemptError{At: *job.AttemptedAt, Attempt: job.Attempt, Error: o.reason})
		if err != nil {
			return nil, fmt.Errorf("encode the reason of job %d: %w", job.ID, err)
		}
		return new(string(encoded)), nil
	default:
		return nil, fmt.Errorf("finish job %d: %q is no final outcome", job.ID, o.state)
	}
}

// stopped makes an error that the end of ctx caused recognisable as such. River gives the attempt back
// only when the error is the context's own, and the driver does not always say so.
func stopped(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// rollback ends a transaction that may already be committed, with a context that outlives the job's. An
// error of its own adds nothing: the pool discards a connection left in a transaction.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWithin)
	defer cancel()
	_ = tx.Rollback(ctx)
}
