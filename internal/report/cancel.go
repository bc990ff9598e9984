package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// The job is locked before the report, as by the work; see the package's comment.
const lockJobSQL = `
select /* report.Cancel */ job.state is not null, coalesce(job.state = 'running', false)
  from (select job_id from reports where id = $1) asked
  left join lateral (select state
                       from river_job
                      where id = asked.job_id
                        for update) job on true`

const cancelSQL = `
update /* report.Cancel */ reports
   set status = 'cancelled',
       finished_at = $2,
       error = null
 where id = $1
   and status in ('queued', 'running')
returning job_id`

// Cancel ends a report that is not finished, together with its job, when tx commits; one that runs stops within
// a second, and nothing of it can ever be read. ErrNotFound: no such report; ErrTooLate: it is finished. After
// an error roll tx back.
func Cancel(ctx context.Context, tx pgx.Tx, canceller jobs.Canceller, id int64, now time.Time) (Report, error) {
	var hasJob, runs bool
	err := tx.QueryRow(ctx, lockJobSQL, id).Scan(&hasJob, &runs)
	if errors.Is(err, pgx.ErrNoRows) {
		return Report{}, say(ErrNotFound, "report %d does not exist", id)
	}
	if err != nil {
		return Report{}, fmt.Errorf("cancel report %d: %w", id, err)
	}
	var jobID int64
	err = tx.QueryRow(ctx, cancelSQL, id, now).Scan(&jobID)
	if errors.Is(err, pgx.ErrNoRows) {
		return tooLate(ctx, tx, id)
	}
	if err == nil && !runs {
		err = dropParts(ctx, tx, id)
	}
	if err == nil && hasJob {
		_, err = canceller.JobCancelTx(ctx, tx, jobID)
	}
	if err != nil {
		return Report{}, fmt.Errorf("cancel report %d: %w", id, err)
	}
	return Get(ctx, tx, id)
}

// dropParts forgets the parts of a report that nobody works on, and leaves their objects to the next cleanup. An
// attempt that runs does better: it removes them at once.
func dropParts(ctx context.Context, tx pgx.Tx, id int64) error {
	rows, err := tx.Query(ctx, forgetPartsSQL, id)
	if err != nil {
		return err
	}
	locations, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(locations) > 0 {
		_, err = markLeftovers(ctx, tx, locations)
	}
	return err
}

// tooLate says what became of a report that cannot be cancelled.
func tooLate(ctx context.Context, tx pgx.Tx, id int64) (Report, error) {
	found, err := Get(ctx, tx, id)
	if err != nil {
		return Report{}, err
	}
	return Report{}, say(ErrTooLate, "report %d is %s already", id, found.Status)
}
