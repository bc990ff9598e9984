package workers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/report"
	"backoffice/jobs"
)

const (
	// reconcileAfter is the age from which an order counts as missed: time to insert its lines by hand.
	reconcileAfter = 2 * time.Second
	// reconcileBatch bounds how many orders one transaction enqueues.
	reconcileBatch = 1000
	// sweepBatch bounds how many orders one transaction of the sweep looks at.
	sweepBatch = 5000
	// sweepBatches bounds what one job does of a sweep: 100,000 orders every half minute, which is 40 ms of
	// work, or 600 where all of them wait for their jobs. Ten million orders are gone over in 50 minutes.
	sweepBatches = 20
	// mostTold is how many orders that could not be enqueued a job names in its error.
	mostTold = 100
)

// ReconcileOrdersWorker works reconcile_orders: it enqueues the orders that plain SQL inserted, and now and
// then looks for those whose job was lost. Reports whose job ended without them are brought in line as well.
type ReconcileOrdersWorker struct {
	river.WorkerDefaults[jobs.ReconcileOrdersArgs]
	Deps
}

// Work enqueues batch by batch until no missed order is left, and then does its part of the sweep. It takes
// no fence: an order is marked in the transaction that enqueues it, so a second attempt at the same time
// finds it locked or marked; an order enqueued twice has one unfinished job all the same.
func (w *ReconcileOrdersWorker) Work(ctx context.Context, _ *river.Job[jobs.ReconcileOrdersArgs]) error {
	missed := w.enqueueMissed(ctx)
	if ctx.Err() != nil {
		return missed
	}
	return errors.Join(missed, w.sweep(ctx), w.settleReports(ctx))
}

// enqueueMissed answers the errors of orders that could not be enqueued; they stop no other, however many
// they are.
func (w *ReconcileOrdersWorker) enqueueMissed(ctx context.Context) (failed error) {
	untold := mostTold
	for after := int64(0); ; {
		var found []int64
		var refused map[int64]error
		err := postgres.InTx(ctx, w.Pool, func(tx pgx.Tx) (err error) {
			var now time.Time // the clock by which created_at was written
			if err := tx.QueryRow(ctx, `select /* workers.ReconcileOrders */ now()`).Scan(&now); err != nil {
				return err
			}
			found, refused, err = order.EnqueueMissed(ctx, tx, w.Jobs, now.Add(-reconcileAfter), reconcileBatch, after)
			return err
		})
		if err != nil {
			return errors.Join(failed, err)
		}
		if untold > 0 {
			failed = errors.Join(failed, joined(refused, untold))
			untold -= len(refused)
		}
		if len(found) < reconcileBatch {
			return failed
		}
		after = found[len(found)-1]
	}
}

// joined is the errors of orders in the order of their ids, at most so many.
func joined(refused map[int64]error, most int) error {
	var told []error
	for _, id := range slices.Sorted(maps.Keys(refused)) {
		if len(told) == most {
			break
		}
		told = append(told, refused[id])
	}
	return errors.Join(told...)
}

// sweep goes on with the sweep, if one is due.
func (w *ReconcileOrdersWorker) sweep(ctx context.Context) (failed error) {
	enqueued := 0
	for range sweepBatches {
		var swept order.Swept
		err := postgres.InTx(ctx, w.Pool, func(tx pgx.Tx) (err error) {
			swept, err = order.SweepLost(ctx, tx, w.Jobs, sweepBatch)
			return err
		})
		if err != nil {
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, joined(swept.Failed, mostTold))
		enqueued += swept.Enqueued
		if swept.Over {
			break
		}
	}
	if enqueued > 0 {
		w.Log.WarnContext(ctx, "lost orders enqueued again", "count", enqueued)
	}
	return failed
}

// settleReports ends reports whose job was cancelled, discarded or deleted while it waited: reports have no
// reconciler of their own, and this costs a look at the few that are not finished, and at those given up.
func (w *ReconcileOrdersWorker) settleReports(ctx context.Context) error {
	settled, err := report.Settle(ctx, w.Pool)
	if settled > 0 {
		w.Log.WarnContext(ctx, "reports without a job ended", "count", settled)
	}
	return err
}
