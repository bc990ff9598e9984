package report

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// It tells of what is made now: what was made before is gone.
const retriedSQL = `
with /* report.Retried */ before as (
  select id, status
    from reports
   where job_id = $1
     for update
), queued as (
  update reports
     set status = 'queued',
         started_at = null,
         finished_at = null,
         rows = 0,
         bytes = 0,
         done = 0,
         error = null
    from before
   where reports.id = before.id
     and before.status = 'failed'
)
select id, status
  from before`

// Retried queues the failed report of a job that an operator has made run again, if it has one: it is the answer
// to who asks for the same, and can be cancelled, before a worker comes to it. Call it in the transaction that
// retried the job, which holds the job's row. ErrTooLate: the report was cancelled, and no attempt would make it;
// roll back.
func Retried(ctx context.Context, db postgres.DB, jobID int64) error {
	var id int64
	var status Status
	err := db.QueryRow(ctx, retriedSQL, jobID).Scan(&id, &status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("queue the report of job %d: %w", jobID, err)
	case status == StatusCancelled:
		return say(ErrTooLate, "job %d cannot run again: report %d was cancelled; ask for it again", jobID, id)
	}
	return nil
}
