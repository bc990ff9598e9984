package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// Job rows before the order: a worker that runs the job holds them in this sequence too. When it
// commits first, its job is no longer unfinished once this statement has waited for it.
const lockJobsSQL = `
select /* order.Cancel */ id
  from river_job
 where kind = 'process_order'
   and args ->> 'order_id' = $1::bigint::text
   and state not in ('completed', 'cancelled', 'discarded')
 order by id
   for update`

// A job may have been enqueued between the two locks. One that a worker has locked meanwhile is
// left to run: it will find the order cancelled.
const lockLateJobsSQL = lockJobsSQL + ` skip locked`

const lockOrderSQL = `
select /* order.Cancel */ status
  from orders
 where id = $1
   for update`

const cancelSQL = `
update /* order.Cancel */ orders
   set status = 'cancelled',
       reason = $2,
       enqueued = true -- there is nothing left to enqueue
 where id = $1`

const deleteAllWaitsSQL = `
delete /* order.Cancel */ from order_waits
 where order_id = $1`

const noteCancelledSQL = `
insert /* order.Cancel */ into order_transitions (order_id, from_status, to_status, at)
values ($1, $2, 'cancelled', $3)`

// Cancel ends an order that is not final, with its unfinished process_order job and its waits, and
// answers it. The reason may be empty. ErrNotFound: no such order; ErrTooLate: the order is final, and
// the sentence says how it ended. When the job runs at this moment, whoever commits first wins.
// After an error roll tx back.
func Cancel(ctx context.Context, tx pgx.Tx, canceller jobs.Canceller, id int64, reason string, now time.Time) (Order, error) {
	name := fmt.Sprintf("order %d", id)
	if err := checkText(name, "reason", reason, maxTextBytes); err != nil {
		return Order{}, err
	}
	status, err := lockForCancel(ctx, tx, id)
	if err != nil {
		return Order{}, err
	}
	if status.Final() {
		return Order{}, say(ErrTooLate, "order %d is %s already and cannot be cancelled", id, status)
	}
	batch := &pgx.Batch{}
	batch.Queue(deleteAllWaitsSQL, id)
	batch.Queue(cancelSQL, id, orNull(reason))
	batch.Queue(noteCancelledSQL, id, status, now)
	var live []int64
	batch.Queue(lockLateJobsSQL, id).Query(func(rows pgx.Rows) error {
		var err error
		live, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	var order Order
	queueGet(batch, id, &order)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Order{}, fmt.Errorf("cancel order %d: %w", id, err)
	}
	for _, job := range live {
		if _, err := canceller.JobCancelTx(ctx, tx, job); err != nil {
			return Order{}, fmt.Errorf("cancel order %d: cancel job %d: %w", id, job, err)
		}
	}
	return order, nil
}

// lockForCancel locks the unfinished jobs of an order, then the order, and answers its status.
func lockForCancel(ctx context.Context, tx pgx.Tx, id int64) (Status, error) {
	var status Status
	batch := &pgx.Batch{}
	batch.Queue(lockJobsSQL, id)
	batch.Queue(lockOrderSQL, id).QueryRow(func(row pgx.Row) error { return row.Scan(&status) })
	err := tx.SendBatch(ctx, batch).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return "", notFound(id)
	}
	if err != nil {
		return "", fmt.Errorf("cancel order %d: lock: %w", id, err)
	}
	return status, nil
}
