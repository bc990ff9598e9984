package order_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/jobs"
)

func (s *shop) tryCancel(ctx context.Context, id int64, reason string) (cancelled order.Order, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		cancelled, err = order.Cancel(ctx, tx, s.jobs, id, reason, pgtest.Noon)
		return err
	})
	return cancelled, err
}

func (s *shop) cancel(id int64) order.Order {
	s.t.Helper()
	cancelled, err := s.tryCancel(s.t.Context(), id, "customer asked")
	if err != nil {
		s.t.Fatal(err)
	}
	return cancelled
}

func TestCancelEndsTheOrderAndItsJob(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(sale(item("A", 1, "1")))[0]
	got := s.cancel(id)
	if got.Status != order.StatusCancelled || got.Reason != "customer asked" || len(got.Lines) != 1 {
		t.Errorf("answered %+v", got)
	}
	if state := one[string](s, `select state from river_job`); state != "cancelled" {
		t.Errorf("job is %s", state)
	}
	if got := rows(s, `select string_agg(concat_ws(' ', from_status, to_status), ', ') from order_transitions where job_id is null`); got != "placed cancelled" {
		t.Errorf("transitions = %s", got)
	}
	if answers := s.process(id); answers[0] != (order.Answer{OrderID: id, Status: order.StatusCancelled, Reason: "customer asked"}) {
		t.Errorf("processed later: %+v", answers[0])
	}
	s.wantSound()
}

func TestCancelEndsAWait(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := s.waiting(1, 1)
	if got, err := s.tryCancel(t.Context(), ids[0], ""); err != nil || got.Reason != "" {
		t.Fatalf("cancel = %+v, %v", got, err)
	}
	if got := rows(s, `select string_agg(order_id::text, ' ') from order_waits`); got != "2" {
		t.Errorf("orders that wait = %s, want 2", got)
	}
	s.wantSound()
}

func TestCancelOfAnOrderThatPlainSQLInserted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.bare(`'A', 'item', 1, 1`)
	s.cancel(id)
	if n := s.enqueueMissed(pgtest.Noon.AddDate(10, 0, 0), 10); n != 0 {
		t.Errorf("%d cancelled orders were found missing", n)
	}
}

func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 1)
	ids := s.place(sale(item("A", 1, "1")), order.Draft{Lines: []order.Line{item("A", -5, "0")}}, sale(item("A", 1, "1")))
	s.process(ids[0], ids[1])
	s.cancel(ids[2])
	for _, tc := range []struct {
		id       int64
		reason   string
		sentinel error
		sentence string
	}{
		{ids[0], "", order.ErrTooLate, "order 1 is processed already and cannot be cancelled"},
		{ids[1], "", order.ErrTooLate, "order 2 is rejected already and cannot be cancelled"},
		{ids[2], "", order.ErrTooLate, "order 3 is cancelled already and cannot be cancelled"},
		{4711, "", order.ErrNotFound, "order 4711 does not exist"},
		{ids[0], "\x00", order.ErrInvalid, `order 1: reason "\x00" is not valid UTF-8 text; remove the offending bytes`},
	} {
		before := one[string](s, versionsSQL)
		_, err := s.tryCancel(t.Context(), tc.id, tc.reason)
		wantError(t, err, tc.sentinel, tc.sentence)
		if after := one[string](s, versionsSQL); after != before {
			t.Errorf("%v, but rows were written", err)
		}
	}
}

// Whoever commits first wins, and neither waits for the other in a circle.
func TestCancelWhileTheJobRuns(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 0)
	processed, cancelled := 0, 0
	for round := range 60 {
		s.receive("A", 1)
		id := s.place(sale(item("A", 1, "1")))[0]
		var cancelErr error
		s.together(
			func(ctx context.Context) error { _, err := s.work(ctx, 10); return err },
			func(ctx context.Context) error {
				if _, cancelErr = s.tryCancel(ctx, id, ""); errors.Is(cancelErr, order.ErrTooLate) {
					return nil
				}
				return cancelErr
			},
		)
		switch status := one[string](s, `select status from orders where id = $1`, id); {
		case status == "cancelled" && cancelErr == nil:
			cancelled++
		case status == "processed" && cancelErr != nil:
			processed++
		default:
			t.Fatalf("round %d: the order is %s, Cancel answered %v", round, status, cancelErr)
		}
		if live := s.liveJobs(); live != "" {
			t.Fatalf("round %d: a job is left", round)
		}
	}
	t.Logf("%d times processed, %d times cancelled", processed, cancelled)
	s.wantSound()
}

// A job that is enqueued and begun while Cancel waits for the order leaves the order for later; Cancel
// leaves the job alone, and it finds the order cancelled.
func TestCancelLeavesAJobThatBeganMeanwhile(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(sale(item("A", 1, "1")))[0]
	s.finishJobs()
	other := s.begin()
	s.execIn(other, `select from orders where id = $1 for update`, id)
	cancelled := s.start(func(ctx context.Context) error { _, err := s.tryCancel(ctx, id, ""); return err })
	s.waitBlocked(1)
	s.inTx(func(tx pgx.Tx) error {
		_, err := s.jobs.InsertTx(t.Context(), tx, jobs.ProcessOrderArgs{OrderID: id}, nil)
		return err
	})
	if n, err := s.work(t.Context(), 1); n != 1 || err != nil {
		t.Fatalf("%d jobs begun, %v", n, err)
	}
	s.commit(other)
	cancelled()
	s.drain()
	if status := one[string](s, `select status from orders`); status != "cancelled" {
		t.Errorf("the order is %s", status)
	}
	if live := s.liveJobs(); live != "" {
		t.Errorf("a job is left")
	}
	s.wantSound()
}

// Cancel, a receipt that wakes the same orders, and workers that run their jobs.
func TestCancelWhileStockIsReceived(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := s.waiting(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	ended := make(chan struct{})
	s.together(
		func(ctx context.Context) error {
			for range len(ids) {
				err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
					_, _, err := order.Receive(ctx, tx, s.jobs, "A", 1, pgtest.Noon)
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
		func(ctx context.Context) error {
			defer close(ended)
			for _, id := range ids[6:] {
				if _, err := s.tryCancel(ctx, id, ""); err != nil && !errors.Is(err, order.ErrTooLate) {
					return err
				}
			}
			return nil
		},
		func(ctx context.Context) error { return s.workUntil(ctx, ended, randomFor(1)) },
	)
	s.drain()
	s.wantSound()
	if n := one[int](s, `select count(*) from orders where status not in ('processed', 'cancelled')`); n != 0 {
		t.Errorf("%d orders are left", n)
	}
}
