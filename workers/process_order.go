package workers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// ProcessOrderWorker works process_order: the effects of one order and the job's end in one commit.
type ProcessOrderWorker struct {
	river.WorkerDefaults[jobs.ProcessOrderArgs]
	Deps
}

// Work processes the order. An order that waits for stock completes its job: whatever raises the stock
// enqueues it again.
func (w *ProcessOrderWorker) Work(ctx context.Context, job *river.Job[jobs.ProcessOrderArgs]) error {
	err := queue.InJobTx(ctx, w.Pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) {
		answers, err := order.Process(ctx, tx, w.Jobs, []int64{job.Args.OrderID}, w.Now())
		if err != nil {
			return queue.Outcome{}, err
		}
		switch answer := answers[0]; answer.Status {
		case order.StatusProcessed, order.StatusAwaitingStock:
			return queue.Completed(), nil
		case "":
			return queue.Cancelled(fmt.Sprintf("order %d does not exist", answer.OrderID)), nil
		default: // rejected, or cancelled by a person: no retry can help
			return queue.Cancelled(fmt.Sprintf("%s: %s", answer.Status, answer.Reason)), nil
		}
	})
	if errors.Is(err, order.ErrBusy) {
		return river.JobSnooze(busyPause + rand.N(busyPause)) // waiting is no failure: it costs no attempt
	}
	return err
}

// busyPause is the shortest pause of an order whose products others hold.
const busyPause = time.Second
