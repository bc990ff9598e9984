package order

import (
	"context"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// Two transactions that raise different products of one waiting order would both enqueue it: the
// second would stop at the first's job, and lock that job's row when it appears, while the worker that
// runs it waits for the second's product. Locking the order's waits first makes the second see the
// job instead. Nobody who holds waits asks for products, so this lock closes no circle.
//
// An order with a live job is left alone: that job has yet to take the product's lock, which the
// caller holds, and so will see what rose. The count in place of "not exists" keeps the planner from
// joining all of river_job.
const lockWaitsSQL = `
select /* order.wake */ count(*)
  from (select from order_waits w
         where w.order_id = any(array(select r.order_id
                                        from order_waits r
                                       where r.sku = any($1)
                                         and r.needed <= (select p.on_hand from products p where p.sku = r.sku)))
           and w.order_id <> all($2::bigint[])
           and (select count(*)
                  from river_job j
                 where j.kind = 'process_order'
                   and j.args ->> 'order_id' = w.order_id::text
                   and j.state not in ('completed', 'cancelled', 'discarded')) = 0
         order by w.order_id, w.sku
           for update of w) as locked`

// One sufficient product is enough: of the others somebody may be raising one right now, unseen.
const wakeableSQL = `
select /* order.wake */ o.id
  from orders o
 where o.id = any(array(select r.order_id
                          from order_waits r
                         where r.sku = any($1)
                           and r.needed <= (select p.on_hand from products p where p.sku = r.sku)))
   and o.id <> all($2::bigint[])
   and o.status = 'awaiting_stock'
   and (select count(*)
          from river_job j
         where j.kind = 'process_order'
           and j.args ->> 'order_id' = o.id::text
           and j.state not in ('completed', 'cancelled', 'discarded')) = 0
 order by o.placed_at, o.id`

// queueWake looks, in statements later than the lock of the products that rose, for the orders that
// wait for one of them, can now have it, and have no job to try; oldest first. except are left out.
func queueWake(batch *pgx.Batch, risen []string, except []int64, woken *[]int64) {
	if len(risen) == 0 {
		return
	}
	batch.Queue(lockWaitsSQL, risen, except)
	batch.Queue(wakeableSQL, risen, except).Query(func(rows pgx.Rows) error {
		var err error
		*woken, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
}

// enqueue inserts a process_order job for each order, duplicates excepted, and answers how many.
func enqueue(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	args := make([]jobs.ProcessOrderArgs, len(ids))
	for i, id := range ids {
		args[i].OrderID = id
	}
	results, err := enq.InsertManyTx(ctx, tx, jobs.Many(args))
	if err != nil {
		return 0, err
	}
	inserted := 0
	for _, r := range results {
		if !r.UniqueSkippedAsDuplicate {
			inserted++
		}
	}
	return inserted, nil
}
