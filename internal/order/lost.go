package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

const (
	// sweepEvery is the time from the beginning of one sweep to that of the next.
	sweepEvery = time.Hour
	// lostAfter is the age from which an order without a job counts as lost: whoever stores one has
	// committed its job long before.
	lostAfter = 10 * time.Minute
)

// Swept is what one step of a sweep did.
type Swept struct {
	Looked   int  // orders that were looked at
	Enqueued int  // those that were enqueued again
	Over     bool // the sweep has come to its end, or none is due

	Failed map[int64]error // why orders that were lost could not be enqueued; they stop no other
}

// Somebody else's step holds the row.
const lockSweepSQL = `
select /* order.SweepLost */ finished_at is null, started_at <= now() - $1::interval, next_id
  from order_sweep
   for update skip locked`

// The newest orders come first: what was lost was most likely lost of late.
const (
	beginSweepSQL = `
update /* order.SweepLost */ order_sweep
   set started_at = now(),
       finished_at = null,
       next_id = 9223372036854775807`
	moveSweepSQL = `
update /* order.SweepLost */ order_sweep
   set next_id = $1,
       finished_at = case when $2 then now() end`
)

// No index names the status, see the table; so a step reads as many rows as it is told to, in the order
// of the primary key. An order that waits is lost when nothing that it waits for is short: whoever
// raised the stock has enqueued it in the same transaction.
const sweepPageSQL = `
select /* order.SweepLost */ count(*), coalesce(min(id), 0),
       coalesce(array_agg(id order by id) filter (where
         case status
           when 'placed' then enqueued and created_at < now() - $3::interval
           when 'awaiting_stock' then (select count(*)
                                         from order_waits w
                                         join products p on p.sku = w.sku
                                        where w.order_id = page.id
                                          and p.on_hand < w.needed) = 0
           else false
         end), '{}')
  from (select id, status, enqueued, created_at
          from orders
         where id < $1
         order by id desc
         limit $2) page`

// SweepLost is one step of the sweep that looks for orders which have no unfinished job and are not final:
// their job was deleted or never came to be, or it was discarded for a cause that may have passed. It looks at
// no more than limit orders and enqueues again those that were lost. A sweep goes over all orders, from the
// newest to the oldest, and begins an hour after the one before began. It may be called concurrently; the
// step of another is answered as Over.
func SweepLost(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, limit int) (Swept, error) {
	if limit < 1 {
		return Swept{}, say(ErrInvalid, "limit %d is out of range; use at least 1", limit)
	}
	var under, due bool
	var next int64
	err := tx.QueryRow(ctx, lockSweepSQL, sweepEvery).Scan(&under, &due, &next)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && !under && !due:
		return Swept{Over: true}, nil
	case err != nil:
		return Swept{}, fmt.Errorf("look when the sweep for lost orders is due: %w", err)
	case !under:
		if _, err := tx.Exec(ctx, beginSweepSQL); err != nil {
			return Swept{}, fmt.Errorf("begin the sweep for lost orders: %w", err)
		}
		next = 1<<63 - 1
	}
	swept, lowest, err := sweepPage(ctx, tx, enq, next, limit)
	if err != nil {
		return Swept{}, err
	}
	if _, err := tx.Exec(ctx, moveSweepSQL, lowest, swept.Over); err != nil {
		return Swept{}, fmt.Errorf("move the sweep for lost orders on: %w", err)
	}
	return swept, nil
}

// sweepPage looks at the orders below an id and answers the lowest it looked at.
func sweepPage(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, below int64, limit int) (swept Swept, lowest int64, err error) {
	var open []int64
	batch := &pgx.Batch{}
	batch.Queue(planSQL)
	batch.Queue(sweepPageSQL, below, limit, lostAfter).QueryRow(func(row pgx.Row) error { return row.Scan(&swept.Looked, &lowest, &open) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Swept{}, 0, fmt.Errorf("look for lost orders below %d: %w", below, err)
	}
	swept.Over = swept.Looked < limit
	lost, err := lockLost(ctx, tx, open)
	if err != nil || len(lost) == 0 {
		return swept, lowest, err
	}
	swept.Failed, err = eachApart(ctx, tx, lost, func(id int64) int64 { return id }, func(tx pgx.Tx, some []int64) error {
		inserted, err := enqueue(ctx, tx, enq, some)
		if err != nil {
			return fmt.Errorf("enqueue %s again: %w", named(some), err)
		}
		swept.Enqueued += inserted
		return nil
	})
	return swept, lowest, err
}

// An order that is being processed, or cancelled, is locked by whoever does it.
const lockOpenSQL = `
select /* order.SweepLost */ id
  from orders
 where id = any($1)
   and status in ('placed', 'awaiting_stock')
 order by id
   for update skip locked`

// In a statement later than the locks, which sees the jobs of whoever held them before.
const storyOfJobsSQL = `
select /* order.SweepLost */ o.id, story.live, story.failed, coalesce(story.states[1], ''), coalesce(story.errors[1], '')
  from unnest($1::bigint[]) as o(id)
 cross join lateral (
       select count(*) filter (where j.finalized_at is null) as live,
              count(*) filter (where j.state = 'discarded') as failed,
              array_agg(j.state::text order by j.id desc) as states,
              array_agg(j.errors[array_upper(j.errors, 1)] ->> 'error' order by j.id desc) as errors
         from river_job j
        where j.kind = 'process_order'
          and j.args ->> 'order_id' = o.id::text) story`

// lockLost locks those of the open orders that nobody works on, and answers those of them that were lost.
func lockLost(ctx context.Context, tx pgx.Tx, open []int64) ([]int64, error) {
	if len(open) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, lockOpenSQL, open)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", named(open), err)
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", named(open), err)
	}
	var lost []int64
	rows, err = tx.Query(ctx, storyOfJobsSQL, locked)
	if err != nil {
		return nil, fmt.Errorf("look for the jobs of %s: %w", named(open), err)
	}
	var id int64
	var s jobStory
	err = eachRow(rows, []any{&id, &s.live, &s.failed, &s.state, &s.cause}, func() {
		if s.lost() {
			lost = append(lost, id)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("look for the jobs of %s: %w", named(open), err)
	}
	return lost, nil
}
