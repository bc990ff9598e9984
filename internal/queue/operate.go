package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/rivertype"
)

const lockJobSQL = `
select /* queue.CancelJob */ state::text
  from river_job
 where id = $1
   for update`

// RetryJob makes a job run again now, a finished one too, with one more attempt where they were used up,
// and forgets how often it crashed. ErrNotFound: no such job; ErrTooLate: it is running, or another
// unfinished job does the same. After an error roll tx back.
func RetryJob(ctx context.Context, tx pgx.Tx, client *Client, id int64) (Job, error) {
	row, err := client.JobRetryTx(ctx, tx, id)
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		return Job{}, noJob(id)
	case errors.As(err, &refused) && refused.Code == "23505": // unique_violation
		return Job{}, say(ErrTooLate, "", "job %d cannot run again: another unfinished job does the same; look for it with jobs list", id)
	case err != nil:
		return Job{}, fmt.Errorf("retry job %d: %w", id, err)
	case row.State == rivertype.JobStateRunning:
		return Job{}, say(ErrTooLate, "", "job %d is running; wait for its attempt to end, or cancel it", id)
	}
	if err := Forgive(ctx, tx, id); err != nil {
		return Job{}, err
	}
	return GetJob(ctx, tx, id)
}

// CancelJob ends a job that is not finished; one that runs is asked to stop and is cancelled when its
// attempt returns. ErrNotFound: no such job; ErrTooLate: it is finished. After an error roll tx back.
func CancelJob(ctx context.Context, tx pgx.Tx, client *Client, id int64) (Job, error) {
	var state rivertype.JobState
	err := tx.QueryRow(ctx, lockJobSQL, id).Scan(&state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Job{}, noJob(id)
	case err != nil:
		return Job{}, fmt.Errorf("cancel job %d: %w", id, err)
	case state == rivertype.JobStateCompleted || state == rivertype.JobStateCancelled || state == rivertype.JobStateDiscarded:
		return Job{}, say(ErrTooLate, "", "job %d is %s already", id, state)
	}
	if _, err := client.JobCancelTx(ctx, tx, id); err != nil {
		return Job{}, fmt.Errorf("cancel job %d: %w", id, err)
	}
	return GetJob(ctx, tx, id)
}

// PauseQueue stops all worker processes from fetching jobs of a queue; those that run go on. Pausing a
// paused queue changes nothing. ErrNotFound: no worker process has worked such a queue yet.
func PauseQueue(ctx context.Context, tx pgx.Tx, client *Client, name string) error {
	return queueError("pause", name, client.QueuePauseTx(ctx, tx, name, nil))
}

// ResumeQueue ends what PauseQueue began; it, too, changes nothing when there is nothing to change.
func ResumeQueue(ctx context.Context, tx pgx.Tx, client *Client, name string) error {
	return queueError("resume", name, client.QueueResumeTx(ctx, tx, name, nil))
}

func queueError(verb, name string, err error) error {
	if errors.Is(err, rivertype.ErrNotFound) {
		return say(ErrNotFound, "", "queue %q does not exist; a queue does once a worker process has worked it", name)
	}
	if err != nil {
		return fmt.Errorf("%s queue %s: %w", verb, name, err)
	}
	return nil
}
