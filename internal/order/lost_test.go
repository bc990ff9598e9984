package order_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
)

// sweep makes steps of a sweep until it is over, and answers how many orders were enqueued.
func (s *shop) sweep(limit int) (looked, enqueued int) {
	s.t.Helper()
	for {
		var swept order.Swept
		s.inTx(func(tx pgx.Tx) (err error) {
			swept, err = order.SweepLost(s.t.Context(), tx, s.jobs, limit)
			return err
		})
		looked, enqueued = looked+swept.Looked, enqueued+swept.Enqueued
		if len(swept.Failed) > 0 {
			s.t.Errorf("failed: %v", swept.Failed)
		}
		if swept.Over {
			return looked, enqueued
		}
	}
}

// sweepAgain makes the next sweep due and makes it.
func (s *shop) sweepAgain() (enqueued int) {
	s.t.Helper()
	s.exec(`update order_sweep set started_at = now() - interval '61 minutes'`)
	_, enqueued = s.sweep(3)
	return enqueued
}

// discard ends the unfinished jobs of an order as their workers would after the last attempt.
func (s *shop) discard(id int64, cause string) {
	s.t.Helper()
	s.exec(`update river_job set state = 'discarded', finalized_at = now(), errors = array[jsonb_build_object('at', now(), 'attempt', 10, 'error', $2::text, 'trace', '')]
		where args ->> 'order_id' = $1::text and finalized_at is null`, fmt.Sprint(id), cause)
}

func TestSweepFindsLostOrdersAndNoOthers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 0)
	want := map[int64]bool{}
	one := func(lost bool, happened func(id int64)) int64 {
		id := s.place(sale(item("B", 1, "1")))[0]
		happened(id)
		want[id] = lost
		return id
	}
	const crashed = "worker process w1 died while it ran this job (crash 4, the last allowed: the job may be the cause)"
	one(false, func(int64) {}) // its job waits
	one(true, func(id int64) { s.exec(`delete from river_job where args ->> 'order_id' = $1::text`, fmt.Sprint(id)) })
	one(true, func(id int64) { s.discard(id, "process order 1: connection refused") })
	one(true, func(id int64) { s.discard(id, "begin: ERROR: deadlock detected (SQLSTATE 40P01)") })
	one(true, func(id int64) { s.discard(id, crashed) })
	one(false, func(id int64) {
		s.discard(id, `process order 7: ERROR: new row violates check constraint "x" (SQLSTATE 23514)`)
	})
	one(false, func(id int64) {
		s.exec(`update river_job set state = 'cancelled', finalized_at = now() where args ->> 'order_id' = $1::text`, fmt.Sprint(id))
	})
	one(false, func(id int64) { s.process(id); s.discard(id, "i/o timeout") })
	one(false, func(id int64) { s.cancel(id) })
	one(false, func(id int64) { // found by EnqueueMissed
		s.exec(`delete from river_job where args ->> 'order_id' = $1::text`, fmt.Sprint(id))
		s.exec(`update orders set enqueued = false where id = $1`, id)
	})
	waiting := s.place(sale(item("A", 1, "1")), sale(item("A", 2, "1")))
	s.process(waiting...)
	s.exec(`delete from river_job where args ->> 'order_id' in ($1::text, $2::text)`, fmt.Sprint(waiting[0]), fmt.Sprint(waiting[1]))
	s.exec(`update orders set created_at = now() - interval '1 hour'`)
	young := s.place(sale(item("B", 1, "1")))[0]
	s.exec(`delete from river_job where args ->> 'order_id' = $1::text`, fmt.Sprint(young))

	before := s.liveJobs()
	looked, enqueued := s.sweep(3)
	var lost []string
	for id := range int64(13) {
		if want[id] {
			lost = append(lost, fmt.Sprint(id))
		}
	}
	if got := strings.TrimSpace(strings.TrimPrefix(s.liveJobs(), before)); enqueued != len(lost) || looked != 13 {
		t.Errorf("looked at %d and enqueued %d: %s; want %v", looked, enqueued, got, lost)
	}
	if live := rows(s, `select string_agg(args ->> 'order_id', ' ' order by (args ->> 'order_id')::bigint) from river_job where finalized_at is null`); live != "1 "+strings.Join(lost, " ") {
		t.Errorf("live jobs for %s, want 1 and %v", live, lost)
	}

	if looked, enqueued := s.sweep(3); looked != 0 || enqueued != 0 {
		t.Errorf("looked at %d again within the hour", looked)
	}
	s.exec(`update products set on_hand = 2 where sku = 'A'`) // behind the back of whoever wakes
	if n := s.sweepAgain(); n != 2 {
		t.Errorf("%d waiting orders were found that could have their stock, want both", n)
	}
}

func TestSweepDoesNotReviveForEver(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	transient, deadly := s.place(sale(item("B", 1, "1")))[0], s.place(sale(item("B", 1, "1")))[0]
	s.exec(`update orders set created_at = now() - interval '1 hour'`)
	revived := map[int64]int{}
	for range 6 {
		s.discard(transient, "context deadline exceeded")
		s.discard(deadly, "worker process w1 died while it ran this job (crash 4)")
		s.sweepAgain()
		for _, id := range []int64{transient, deadly} {
			if live := one[int](s, `select count(*) from river_job where finalized_at is null and args ->> 'order_id' = $1::text`, fmt.Sprint(id)); live == 1 {
				revived[id]++
			}
		}
	}
	if revived[transient] != 3 || revived[deadly] != 1 {
		t.Errorf("revived %d times after a time-out and %d times after a crash, want 3 and 1", revived[transient], revived[deadly])
	}
}

func TestSweepersAtOnceEnqueueOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for range 50 {
		s.place(sale(item("B", 1, "1")))
	}
	s.exec(`delete from river_job`)
	s.exec(`update orders set created_at = now() - interval '1 hour'`)
	sweeper := func(ctx context.Context) error {
		for over := false; !over; {
			err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
				swept, err := order.SweepLost(ctx, tx, s.jobs, 7)
				over = swept.Over
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	s.together(sweeper, sweeper, sweeper)
	s.sweep(7) // what is left when all but the last gave way
	if n := one[int](s, `select count(*) from river_job`); n != 50 {
		t.Errorf("%d jobs for 50 lost orders", n)
	}
}

// An order that a trigger of somebody's refuses to change stops none of the others.
func TestEnqueueMissedGoesOnAfterOneThatFails(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var ids []int64
	for range 4 {
		ids = append(ids, s.bare(`'A', 'item', 1, 1`))
	}
	s.exec(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'order % is not yours', new.id; end $$`)
	s.exec(fmt.Sprintf(`create trigger refuse before update on orders for each row when (new.id = %d) execute function refuse()`, ids[1]))
	var found []int64
	var failed map[int64]error
	s.inTx(func(tx pgx.Tx) (err error) {
		found, failed, err = order.EnqueueMissed(t.Context(), tx, s.jobs, tomorrow(), 10, 0)
		return err
	})
	if len(found) != 4 || len(failed) != 1 || failed[ids[1]] == nil || !strings.Contains(failed[ids[1]].Error(), "is not yours") {
		t.Errorf("found %v, failed %v", found, failed)
	}
	if got, want := s.liveJobs(), fmt.Sprintf("%d %d %d", ids[0], ids[2], ids[3]); got != want {
		t.Errorf("jobs for %s, want %s", got, want)
	}
	s.inTx(func(tx pgx.Tx) (err error) {
		found, _, err = order.EnqueueMissed(t.Context(), tx, s.jobs, tomorrow(), 10, ids[1])
		return err
	})
	if len(found) != 0 {
		t.Errorf("orders %v are found again behind the one that failed", found)
	}
}
