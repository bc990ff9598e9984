package workers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// ProcessOrderWorker works process_order: the effects of an order and the job's end in one commit, which
// many orders share.
type ProcessOrderWorker struct {
	river.WorkerDefaults[jobs.ProcessOrderArgs]
	Deps
	group *queue.Group[int64] // of order ids
}

// NewProcessOrderWorker returns the worker, whose jobs share commits as d.Group says.
func NewProcessOrderWorker(d Deps) *ProcessOrderWorker {
	w := &ProcessOrderWorker{Deps: d}
	w.group = queue.NewGroup(d.Pool, d.Group, w.process)
	return w
}

// Work processes the order. An order that waits for stock completes its job: whatever raises the stock
// enqueues it again.
func (w *ProcessOrderWorker) Work(ctx context.Context, job *river.Job[jobs.ProcessOrderArgs]) error {
	err := w.group.Work(ctx, job.JobRow, job.Args.OrderID)
	if errors.Is(err, order.ErrBusy) {
		return river.JobSnooze(busyPause + rand.N(busyPause)) // waiting is no failure: it costs no attempt
	}
	return err
}

// busyPause is the shortest pause of an order that others hold, or whose products they hold.
const busyPause = 500 * time.Millisecond

// process settles the orders of one commit: first without waiting turns for popular products, then with
// turns. Orders whose products were held for longer than turns take do without waiting from then on.
func (w *ProcessOrderWorker) process(ctx context.Context, tx *queue.GroupTx, ids []int64, failed error) ([]queue.Verdict, error) {
	var answers []order.Answer
	var err error
	switch {
	case failed == nil:
		answers, err = order.ProcessQuick(ctx, tx, w.Jobs, ids, w.Now(), func(certain []order.Answer) error {
			return tx.Finish(ctx, verdicts(certain))
		})
	case errors.Is(failed, order.ErrBusy), errors.Is(failed, queue.ErrSnoozed):
		answers, err = order.ProcessFree(ctx, tx, w.Jobs, ids, w.Now())
	default:
		answers, err = order.Process(ctx, tx, w.Jobs, ids, w.Now())
	}
	if errors.Is(err, order.ErrBusy) || errors.Is(err, order.ErrMoved) {
		err = queue.Blameless(err)
	}
	return verdicts(answers), err
}

func verdicts(answers []order.Answer) []queue.Verdict {
	verdicts := make([]queue.Verdict, len(answers))
	for i, answer := range answers {
		verdicts[i] = verdict(answer)
	}
	return verdicts
}

// verdict is what becomes of the job of an order.
func verdict(answer order.Answer) queue.Verdict {
	switch {
	case answer.Err != nil:
		return queue.Verdict{Err: answer.Err}
	case answer.Status == order.StatusProcessed, answer.Status == order.StatusAwaitingStock:
		return queue.Verdict{Outcome: queue.Completed()}
	case answer.Status == "":
		return queue.Verdict{Outcome: queue.Cancelled(fmt.Sprintf("order %d does not exist", answer.OrderID))}
	default: // rejected, or cancelled by a person: no retry can help
		return queue.Verdict{Outcome: queue.Cancelled(fmt.Sprintf("%s: %s", answer.Status, answer.Reason))}
	}
}
