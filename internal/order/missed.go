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
   and o.id > $3
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
// oldest first, with an id above after. It marks them in the same transaction and answers their ids in
// order, so fewer than limit means that none is left but those that others hold right now. It may be
// called concurrently.
//
// An order that cannot be enqueued stops no other: where all together fail each is tried by itself, and
// those that fail are answered with the reason.
func EnqueueMissed(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, before time.Time, limit int, after int64) (found []int64, failed map[int64]error, err error) {
	if limit < 1 {
		return nil, nil, say(ErrInvalid, "limit %d is out of range; use at least 1", limit)
	}
	missed, err := lockMissed(ctx, tx, before, limit, after)
	if err != nil {
		return nil, nil, fmt.Errorf("find missed orders: %w", err)
	}
	if len(missed) == 0 {
		return nil, nil, nil
	}
	failed, err = eachApart(ctx, tx, missed, func(m missedOrder) int64 { return m.id },
		func(tx pgx.Tx, some []missedOrder) error { return enqueueMissed(ctx, tx, enq, some) })
	for _, m := range missed {
		found = append(found, m.id)
	}
	return found, failed, err
}

// eachApart runs work on all items at once and, where that fails for another cause than one that will pass,
// on each by itself: failed holds the errors of those whose work was rolled back.
func eachApart[T any](ctx context.Context, tx pgx.Tx, items []T, idOf func(T) int64, work func(pgx.Tx, []T) error) (failed map[int64]error, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return work(tx, items) })
	if err == nil || ctx.Err() != nil || isPassing(err) {
		return nil, err
	}
	failed = map[int64]error{}
	for _, item := range items {
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return work(tx, []T{item}) })
		if err != nil && (ctx.Err() != nil || isPassing(err)) {
			return nil, err
		}
		if err != nil {
			failed[idOf(item)] = err
		}
	}
	return failed, nil
}

// isPassing tells an error that is about the server or others, and not about an order.
func isPassing(err error) bool { return passing.MatchString(err.Error()) }

// missedOrder is one that plain SQL inserted.
type missedOrder struct {
	id       int64
	needsJob bool // it is not final, and has no live job
}

// enqueueMissed marks missed orders and enqueues those that need it.
func enqueueMissed(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, missed []missedOrder) error {
	ids, jobless := make([]int64, len(missed)), []int64{}
	for i, m := range missed {
		if ids[i] = m.id; m.needsJob {
			jobless = append(jobless, m.id)
		}
	}
	if _, err := tx.Exec(ctx, markEnqueuedSQL, ids); err != nil {
		return fmt.Errorf("mark %s as enqueued: %w", named(ids), err)
	}
	if _, err := enqueue(ctx, tx, enq, jobless); err != nil {
		return fmt.Errorf("enqueue %s: %w", named(ids), err)
	}
	return nil
}

// lockMissed locks missed orders and answers them.
func lockMissed(ctx context.Context, tx pgx.Tx, before time.Time, limit int, after int64) (missed []missedOrder, err error) {
	batch := &pgx.Batch{}
	batch.Queue(planSQL)
	batch.Queue(missedSQL, before, limit, after).Query(func(rows pgx.Rows) error {
		var m missedOrder
		return eachRow(rows, []any{&m.id, &m.needsJob}, func() { missed = append(missed, m) })
	})
	err = tx.SendBatch(ctx, batch).Close()
	return missed, err
}
