package report

import (
	"context"
	"fmt"

	"backoffice/internal/postgres"
)

// The job's row is only read: nothing that is at work waits for this.
const settleSQL = `
with /* report.Settle */ left_behind as (
  select report.id, job.state, job.errors[array_upper(job.errors, 1)] ->> 'error' as error
    from reports report
    left join river_job job on job.id = report.job_id
   where report.status in ('queued', 'running')
     and (job.id is null or job.state in ('completed', 'cancelled', 'discarded'))
   order by report.id
     for update of report skip locked
), settled as (
  update reports
     set status = case left_behind.state when 'cancelled' then 'cancelled' else 'failed' end,
         finished_at = clock_timestamp(),
         error = case
                   when left_behind.state is null then 'its job does not exist any more'
                   when left_behind.error is null then format('its job is %s', left_behind.state)
                   else left(format('its job is %s: %s', left_behind.state, split_part(left_behind.error, e'\n', 1)), 1000)
                 end
    from left_behind
   where reports.id = left_behind.id
     and reports.status in ('queued', 'running')
  returning reports.id
), forgotten as (
  delete from artifact_parts
   where report_id in (select id from settled)
)
select count(*)
  from settled`

// Settle ends reports whose job has ended without them: it was cancelled while it waited, discarded with its
// process, or deleted. It answers how many there were. Call it now and then, from one place or many.
func Settle(ctx context.Context, db postgres.DB) (int, error) {
	var settled int
	if err := db.QueryRow(ctx, settleSQL).Scan(&settled); err != nil {
		return 0, fmt.Errorf("settle reports without a job: %w", err)
	}
	return settled, nil
}
