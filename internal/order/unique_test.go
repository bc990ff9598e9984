package order_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// The unique keys of process_order grow with the orders' ids, however the job is inserted, and keep a
// second unfinished job out.
func TestUniqueKeysGrowWithTheOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.inTx(func(tx pgx.Tx) error { // one at a time, many returning rows, many by COPY
		if _, err := s.jobs.InsertTx(t.Context(), tx, jobs.ProcessOrderArgs{OrderID: 255}, nil); err != nil {
			return err
		}
		if _, err := s.jobs.InsertManyTx(t.Context(), tx, jobs.Many([]jobs.ProcessOrderArgs{{OrderID: 256}, {OrderID: 70_000}})); err != nil {
			return err
		}
		_, err := s.jobs.InsertManyFastTx(t.Context(), tx, jobs.Many([]jobs.ProcessOrderArgs{{OrderID: 1}, {OrderID: 5_000_000_000}}))
		return err
	})
	if got := one[string](s, `select string_agg(args ->> 'order_id', ' ' order by unique_key) from river_job`); got != "1 255 256 70000 5000000000" {
		t.Errorf("by unique key the orders are %s", got)
	}
	s.inTx(func(tx pgx.Tx) error {
		again, err := s.jobs.InsertTx(t.Context(), tx, &jobs.ProcessOrderArgs{OrderID: 70_000}, nil)
		if err == nil && !again.UniqueSkippedAsDuplicate {
			t.Error("a second unfinished job of an order was inserted")
		}
		return err
	})
}
