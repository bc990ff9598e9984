package workers

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/jobs"
)

const (
	// reconcileAfter is the age from which an order counts as missed: time to insert its lines by hand.
	reconcileAfter = 2 * time.Second
	// reconcileBatch bounds how many orders one transaction enqueues.
	reconcileBatch = 1000
)

// ReconcileOrdersWorker works reconcile_orders: it enqueues the orders that plain SQL inserted.
type ReconcileOrdersWorker struct {
	river.WorkerDefaults[jobs.ReconcileOrdersArgs]
	Deps
}

// Work enqueues batch by batch until no missed order is left. It takes no fence: an order is marked in
// the transaction that enqueues it, so a second attempt at the same time finds it locked or marked.
func (w *ReconcileOrdersWorker) Work(ctx context.Context, _ *river.Job[jobs.ReconcileOrdersArgs]) error {
	for {
		var enqueued int
		err := postgres.InTx(ctx, w.Pool, func(tx pgx.Tx) (err error) {
			var now time.Time // the clock by which created_at was written
			if err := tx.QueryRow(ctx, `select /* workers.ReconcileOrders */ now()`).Scan(&now); err != nil {
				return err
			}
			enqueued, err = order.EnqueueMissed(ctx, tx, w.Jobs, now.Add(-reconcileAfter), reconcileBatch)
			return err
		})
		if err != nil {
			return err
		}
		if enqueued < reconcileBatch {
			return nil
		}
	}
}
