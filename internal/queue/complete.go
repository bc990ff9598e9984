package queue

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// Most outcomes that River writes are completions and nothing else. They need no transaction of several
// statements: one locks the rows in id order, judges the attempts and completes the jobs.
const completeCurrentSQL = `
with /* queue.complete */ locked as (
  select id, state, attempted_at
    from river_job
   where id = any($1)
   order by id
     for update
), completed as (
  update river_job job
     set state = 'completed',
         finalized_at = ours.finalized_at
    from locked
    join unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) as ours (id, attempted_at, finalized_at) using (id, attempted_at)
   where job.id = locked.id
     and locked.state = 'running'
  returning job.id
)
select coalesce(array_agg(id), '{}')
  from completed`

// complete completes the jobs whose attempts are current and adds them to ended. What is not current, or
// was finished by the attempt itself, is added to open, where it is looked at more closely.
func complete(ctx context.Context, exec riverdriver.Executor, completed, open *outcomeBatch, ended map[int64]token) error {
	if len(completed.ID) == 0 {
		return nil
	}
	var ids []int64
	if err := exec.QueryRow(ctx, completeCurrentSQL, completed.ID, completed.attempts, completed.FinalizedAt).Scan(&ids); err != nil {
		return fmt.Errorf("complete %d jobs: %w", len(completed.ID), err)
	}
	done := make(map[int64]bool, len(ids))
	for _, id := range ids {
		done[id] = true
	}
	for i, id := range completed.ID {
		if done[id] {
			ended[id] = token{At: completed.attempts[i], Ended: rivertype.JobStateCompleted}
		} else {
			open.add(&completed.JobSetStateIfRunningManyParams, i, completed.attempts[i], nil)
		}
	}
	return nil
}
