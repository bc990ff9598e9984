package report

import (
	"context"
	"fmt"

	"backoffice/internal/postgres"
)

const retriedSQL = `
update /* report.Retried */ reports
   set status = 'queued',
       finished_at = null,
       error = null
 where job_id = $1
   and status = 'failed'`

// Retried queues the failed report of a job that an operator has made run again, if it has one: it is the answer
// to who asks for the same, and can be cancelled, before a worker comes to it. Call it in the transaction that
// retried the job, which holds the job's row.
func Retried(ctx context.Context, db postgres.DB, jobID int64) error {
	if _, err := db.Exec(ctx, retriedSQL, jobID); err != nil {
		return fmt.Errorf("queue the report of job %d: %w", jobID, err)
	}
	return nil
}
