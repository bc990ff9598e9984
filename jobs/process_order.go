package jobs

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// ProcessOrderArgs asks for one placed order to be processed. order.Place and the import enqueue it in
// the transaction that stores the order; the order itself is read when the job runs.
type ProcessOrderArgs struct {
	OrderID int64 `json:"order_id" river:"unique"`
}

// Kind is the stable name of the kind.
func (ProcessOrderArgs) Kind() string { return "process_order" }

// Contract states what is promised about process_order.
func (a ProcessOrderArgs) Contract() Contract {
	return Contract{
		Kind:        a.Kind(),
		Queue:       QueueOrders,
		Timeout:     30 * time.Second,
		MaxAttempts: 10,
		Retry:       Retry{First: time.Second, Max: 5 * time.Minute},
		Retention:   Retention{Completed: 24 * time.Hour, Failed: 30 * 24 * time.Hour},
		Harmless:    "order_effects holds each effect of an order at most once, and a final order is left as it is",
	}
}

// InsertOpts make the job unique per order while it is unfinished, so that a waiting order can be
// enqueued again once the job that found it short of stock has completed.
func (a ProcessOrderArgs) InsertOpts() river.InsertOpts {
	opts := a.Contract().InsertOpts()
	opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	return opts
}

// Hooks give the job a unique key that grows with the order's id, in place of River's, which is a hash. With
// a hash every fetch writes to pages all over the index of unique keys: with 5 million waiting that is a page
// image of 8 KB for every job, and the fetch takes twice as long. The order is the whole key: unique options
// of a caller's own, such as a period or a queue, do not narrow it.
func (ProcessOrderArgs) Hooks() []rivertype.Hook {
	return []rivertype.Hook{river.HookInsertBeginFunc(func(_ context.Context, params *rivertype.JobInsertParams) error {
		if params.UniqueKey == nil {
			return nil
		}
		switch args := params.Args.(type) {
		case ProcessOrderArgs:
			params.UniqueKey = args.uniqueKey()
		case *ProcessOrderArgs:
			params.UniqueKey = args.uniqueKey()
		}
		return nil
	})}
}

func (a ProcessOrderArgs) uniqueKey() []byte {
	return binary.BigEndian.AppendUint64([]byte(a.Kind()+" "), uint64(a.OrderID))
}

// Validate refuses an order id that no order can have.
func (a ProcessOrderArgs) Validate() error {
	if a.OrderID <= 0 {
		return fmt.Errorf("args: field \"order_id\" wants the id of an order, not %d", a.OrderID)
	}
	return nil
}
