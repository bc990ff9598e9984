package order

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// An order to which a line is being added right now is locked by that line, hence skipped until the
// next call. An order with a live job was enqueued by hand; its job must be left alone, because the
// worker that runs it may be waiting for this very order. The subqueries are ones that the planner
// cannot turn into joins with all lines and all jobs.
const missedSQL = `
select /* order.EnqueueMissed */ o.id,
       o.status in ('placed', 'awaiting_stock')
       and (select count(*)
              from river_job j
             where j.kind = 'process_order'
               and j.args ->> 'order_id' = o.id::text
               and j.state not in ('completed', 'cancelled', 'discarded')) = 0
  from orders o
 where not o.enqueued
   and o.created_at < $1
   and (select min(l.line_no) from order_lines l where l.order_id = o.id) is not null
 order by o.id
 limit $2
   for update of o skip locked`

const markEnqueuedSQL = `
update /* order.EnqueueMissed */ orders
   set enqueued = true
 where id = any($1)`

// EnqueueMissed inserts a process_order job for orders that have none because plain SQL inserted them:
// not marked as enqueued, with at least one line, created before the given instant; at most limit,
// oldest first. It marks them in the same transaction and answers how many it marked, so fewer than
// limit means that none is left but those that others hold right now. It may be called concurrently.
func EnqueueMissed(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, say(ErrInvalid, "limit %d is out of range; use at least 1", limit)
	}
	missed, jobless, err := lockMissed(ctx, tx, before, limit)
	if err != nil {
		return 0, fmt.Errorf("find missed orders: %w", err)
	}
	if len(missed) == 0 {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, markEnqueuedSQL, missed); err != nil {
		return 0, fmt.Errorf("mark %s as enqueued: %w", named(missed), err)
	}
	if _, err := enqueue(ctx, tx, enq, jobless); err != nil {
		return 0, fmt.Errorf("enqueue %s: %w", named(missed), err)
	}
	return len(missed), nil
}

// lockMissed locks missed orders and answers them, and which of them have no live job and need one.
func lockMissed(ctx context.Context, tx pgx.Tx, before time.Time, limit int) (missed, jobless []int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(planSQL)
	batch.Queue(missedSQL, before, limit).Query(func(rows pgx.Rows) error {
		var id int64
		var needsJob bool
		return eachRow(rows, []any{&id, &needsJob}, func() {
			missed = append(missed, id)
			if needsJob {
				jobless = append(jobless, id)
			}
		})
	})
	err = tx.SendBatch(ctx, batch).Close()
	return missed, jobless, err
}
