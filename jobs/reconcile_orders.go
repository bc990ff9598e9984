package jobs

import (
	"time"

	"github.com/riverqueue/river"
)

// ReconcileOrdersArgs asks for the orders that plain SQL inserted to be enqueued. The timetable
// enqueues it; it is the safety net, not the main path.
type ReconcileOrdersArgs struct{}

// Kind is the stable name of the kind.
func (ReconcileOrdersArgs) Kind() string { return "reconcile_orders" }

// Contract states what is promised about reconcile_orders.
func (a ReconcileOrdersArgs) Contract() Contract {
	return Contract{
		Kind:        a.Kind(),
		Queue:       QueueMaintenance,
		Timeout:     time.Minute,
		MaxAttempts: 3,
		Retry:       Retry{First: 5 * time.Second, Max: 30 * time.Second},
		Retention:   Retention{Completed: time.Hour, Failed: 7 * 24 * time.Hour},
		Harmless:    "an order is enqueued in the transaction that marks it as enqueued",
	}
}

// InsertOpts let at most one unfinished job of the kind exist, so that ticks do not pile up while
// nobody works the queue.
func (a ReconcileOrdersArgs) InsertOpts() river.InsertOpts {
	opts := a.Contract().InsertOpts()
	opts.UniqueOpts = river.UniqueOpts{ByState: unfinished}
	return opts
}

// Validate accepts the only value there is.
func (ReconcileOrdersArgs) Validate() error { return nil }
