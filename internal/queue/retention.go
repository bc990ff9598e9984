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
          limit $4
            for update skip locked))`

// DeleteFinished deletes the finished jobs of the given kinds that have outlived their kind's
// retention, in batches each of its own commit, and answers how many. River's cleaner knows one
// retention for all kinds and is switched off. Several processes may run it at once.
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
	return deleted, nil
}
