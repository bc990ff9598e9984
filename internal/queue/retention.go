package queue

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// retentionBatch bounds one statement's deletion, and with it how long it holds its locks.
const retentionBatch = 5000

const deleteFinishedSQL = `
delete /* queue.DeleteFinished */ from river_job
 where id = any(array(
         select id
           from river_job
          where kind = $1
            and state = $2
            and finalized_at < now() - $3::interval
          order by finalized_at -- by its index: without an order the planner may read the table from its start for every batch
          limit $4
            for update skip locked))`

// DeleteFinished deletes the finished jobs of the given kinds that have outlived their kind's
// retention, in batches each of its own commit, and answers how many. River's cleaner knows one
// retention for all kinds and is switched off. What was known of deleted jobs' crashes goes too. Several
// processes may run it at once.
func DeleteFinished(ctx context.Context, db postgres.DB, contracts []jobs.Contract) (int64, error) {
	var deleted int64
	for _, c := range contracts {
		for state, keep := range map[rivertype.JobState]any{
			rivertype.JobStateCompleted: c.Retention.Completed,
			rivertype.JobStateCancelled: c.Retention.Failed,
			rivertype.JobStateDiscarded: c.Retention.Failed,
		} {
			for {
				tag, err := db.Exec(ctx, deleteFinishedSQL, c.Kind, string(state), keep, retentionBatch)
				if err != nil {
					return deleted, fmt.Errorf("delete %s jobs of kind %s: %w", state, c.Kind, err)
				}
				deleted += tag.RowsAffected()
				if tag.RowsAffected() < retentionBatch {
					break
				}
			}
		}
	}
	if _, err := db.Exec(ctx, deleteCrashesSQL); err != nil {
		return deleted, fmt.Errorf("delete the crashes of deleted jobs: %w", err)
	}
	return deleted, nil
}

const deleteCrashesSQL = `
delete /* queue.DeleteFinished */ from job_crashes crash
 where not exists (select from river_job job where job.id = crash.job_id)`

const forgiveSQL = `
delete /* queue.Forgive */ from job_crashes
 where job_id = $1`

// Forgive forgets how often a job crashed: a person runs it again, or it has got on meanwhile.
func Forgive(ctx context.Context, db postgres.DB, jobID int64) error {
	if _, err := db.Exec(ctx, forgiveSQL, jobID); err != nil {
		return fmt.Errorf("forget the crashes of job %d: %w", jobID, err)
	}
	return nil
}
