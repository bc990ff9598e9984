package order

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// write stores what became of the orders, in one batch, and answers the orders to be woken. set are
// the orders of the call: none of them can use what rose, or settle would have given it to them.
//
// Products come as late as they can, for the sake of those who wait for them; after them comes only
// what must not be locked before: see the package's sequence of locks. beforeLocks, if given, is called
// before products are locked.
func write(ctx context.Context, tx pgx.Tx, open []*candidate, stock *stock, set []int64, now time.Time, locks locks, beforeLocks func() error) ([]int64, error) {
	batch := &pgx.Batch{}
	queueMovements(batch, open, now)
	queueEntries(batch, open, now)
	queueStatuses(batch, open, now)
	changes := stock.changes()
	if beforeLocks != nil && len(changes.skus) > 0 {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return nil, err
		}
		if err := beforeLocks(); err != nil {
			return nil, err
		}
		batch = &pgx.Batch{}
	}
	queueProducts(batch, changes, locks)
	queueWaits(batch, open, now)
	var woken []int64
	queueWake(batch, changes.risen, set, &woken)
	if batch.Len() == 0 {
		return nil, nil
	}
	err := tx.SendBatch(ctx, batch).Close()
	return woken, err
}

const lockChangedSQL = `
select /* order.Process */
  from products
 where sku = any($1)
 order by sku
   for update`

// What is taken must be there, whatever is given back with it: a product that was read without a lock
// may hold less by now.
const writeProductsSQL = `
update /* order.Process */ products p
   set on_hand = p.on_hand + change.difference
  from unnest($1::text[], $2::bigint[], $3::bigint[]) as change(sku, difference, taken)
 where p.sku = change.sku
   and (p.on_hand >= change.taken or $4)`

// queueProducts moves stock. Products that are not locked yet are locked now, by sku.
func queueProducts(batch *pgx.Batch, all changes, locks locks) {
	if len(all.skus) == 0 {
		return
	}
	locked := locks != locksLast
	if !locked {
		batch.Queue(lockChangedSQL, all.skus)
	}
	batch.Queue(writeProductsSQL, all.skus, all.differences, all.taken, locked).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() < int64(len(all.skus)) {
			return fmt.Errorf("%w: of %d products, %d still hold what was counted on", ErrMoved, len(all.skus), tag.RowsAffected())
		}
		return nil
	})
}

const writeMovementsSQL = `
insert /* order.Process */ into stock_movements (sku, quantity, reason, order_id, at)
select sku, quantity, reason, order_id, $5
  from unnest($1::text[], $2::integer[], $3::text[], $4::bigint[]) as m(sku, quantity, reason, order_id)`

func queueMovements(batch *pgx.Batch, open []*candidate, now time.Time) {
	var (
		skus, reasons       []string
		quantities, ordered []int64
	)
	for _, c := range open {
		if c.status != StatusProcessed {
			continue
		}
		for _, s := range c.shares {
			if s.quantity != 0 {
				skus, quantities = append(skus, s.sku), append(quantities, s.quantity)
				reasons, ordered = append(reasons, s.reason), append(ordered, c.id)
			}
		}
	}
	if len(skus) > 0 {
		batch.Queue(writeMovementsSQL, skus, quantities, reasons, ordered, now)
	}
}

// What an order that waited no longer waits for; the rest stays, with the time since when.
const deleteWaitsSQL = `
delete /* order.Process */ from order_waits w
 where w.order_id = any($1)
   and not exists (select from unnest($2::bigint[], $3::text[]) as short(order_id, sku)
                    where short.order_id = w.order_id
                      and short.sku = w.sku)`

const writeWaitsSQL = `
insert /* order.Process */ into order_waits (sku, order_id, needed, since)
select sku, order_id, needed, $4
  from unnest($1::text[], $2::bigint[], $3::integer[]) as short(sku, order_id, needed)
    on conflict (sku, order_id) do nothing`

func queueWaits(batch *pgx.Batch, open []*candidate, now time.Time) {
	var (
		waited, short, needed []int64
		skus                  []string
	)
	for _, c := range open {
		if c.was == StatusAwaitingStock {
			waited = append(waited, c.id)
		}
		for _, s := range c.short {
			short, skus, needed = append(short, c.id), append(skus, s.sku), append(needed, s.needed)
		}
	}
	if len(waited) > 0 {
		batch.Queue(deleteWaitsSQL, waited, short, skus)
	}
	if len(short) > 0 {
		batch.Queue(writeWaitsSQL, skus, short, needed, now)
	}
}

// The job is looked up by a subquery that the planner cannot turn into a join, with its state out of
// the predicate: guessing wrong about river_job it would read all of it, or all that runs, for every
// order. The key of order_effects is the second guard after the job's fence: no "on conflict".
const writeStatusesSQL = `
with /* order.Process */ changed as (
  select c.order_id, c.from_status, c.to_status, nullif(c.reason, '') as reason, c.n,
         (select min(case when j.state = 'running' then j.id end)
            from river_job j
           where j.kind = 'process_order'
             and j.args ->> 'order_id' = c.order_id::text) as job_id
    from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) with ordinality as c(order_id, from_status, to_status, reason, n)
), effects as (
  insert into order_effects (order_id, effect, job_id, applied_at)
  select c.order_id, e.effect, c.job_id, $5
    from changed c
   cross join (values ('stock'), ('ledger')) as e(effect)
   where c.to_status = 'processed'
), transitions as (
  insert into order_transitions (order_id, from_status, to_status, at, job_id)
  select c.order_id, c.from_status, c.to_status, $5, c.job_id
    from changed c
   order by c.n
)
update orders o
   set status = c.to_status,
       reason = c.reason,
       enqueued = true
  from changed c
 where o.id = c.order_id`

// queueStatuses writes the orders whose status changed, with the history of it and their effects. An
// order is marked as enqueued, because whoever asked for it to be processed leaves nothing to enqueue.
func queueStatuses(batch *pgx.Batch, open []*candidate, now time.Time) {
	var (
		ids               []int64
		from, to, reasons []string
	)
	for _, c := range open {
		if c.status == c.was {
			continue
		}
		reason := ""
		if c.status == StatusRejected {
			reason = c.reason
		}
		ids, reasons = append(ids, c.id), append(reasons, reason)
		from, to = append(from, string(c.was)), append(to, string(c.status))
	}
	if len(ids) > 0 {
		batch.Queue(writeStatusesSQL, ids, from, to, reasons, now)
	}
}
