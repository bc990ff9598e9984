package report

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// The job's row is only read: nothing that is at work waits for this.
const (
	settleSQL = `
with /* report.Settle */ left_behind as (
  select report.id, job.state, job.errors[array_upper(job.errors, 1)] ->> 'error' as error
    from reports report
    left join river_job job on job.id = report.job_id
   where report.status in ('queued', 'running')
     and (job.id is null or job.state in ('completed', 'cancelled', 'discarded'))
   order by report.id
     for update of report skip locked
)
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
   and reports.status in ('queued', 'running')`

	// Whose attempt was to remove them, and died before it did.
	withPartsSQL = `
select /* report.Settle */ report.id
  from reports report
  left join river_job job on job.id = report.job_id
 where report.status in ('failed', 'cancelled')
   and (job.id is null or job.state in ('completed', 'cancelled', 'discarded'))
   and exists (select from artifact_parts part where part.report_id = report.id)
 order by report.id
 limit 100
   for update of report skip locked`
)

// Settle ends reports whose job has ended without them: it was cancelled while it waited, discarded with its
// process, or deleted. What such reports, and those cancelled while their process was dying, have stored is left to
// the next cleanup. It answers how many reports it ended. Call it now and then, from one place or many.
func Settle(ctx context.Context, pool *pgxpool.Pool) (settled int, err error) {
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		ended, err := tx.Exec(ctx, settleSQL)
		if err != nil {
			return err
		}
		settled = int(ended.RowsAffected())
		rows, err := tx.Query(ctx, withPartsSQL)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		for _, id := range ids {
			if err == nil {
				err = dropParts(ctx, tx, id)
			}
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("settle reports without a job: %w", err)
	}
	return settled, nil
}
