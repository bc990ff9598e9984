package queue

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// Most outcomes that River writes are completions and nothing else. They need no transaction of several
// statements: one locks the rows in id order, judges the attempts and completes the jobs. Row by row ("offset
// 0"): a join of hundreds with hundreds is planned for ten.
const completeCurrentSQL = `
with /* queue.complete */ current as (
  select ours.id
    from (select * from unnest($1::bigint[], $2::timestamptz[]) as given (id, attempted_at) order by id) as ours
   cross join lateral (select job.state, job.attempted_at
                         from river_job job
                        where job.id = ours.id
                       offset 0
                          for update) as locked
   where locked.state = 'running'
     and locked.attempted_at = ours.attempted_at
), completed as (
  update river_job
     set state = 'completed',
         finalized_at = clock_timestamp()
   where id = any(array(select id from current))
  returning id
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
	if err := exec.QueryRow(ctx, completeCurrentSQL, completed.ID, completed.attempts).Scan(&ids); err != nil {
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
