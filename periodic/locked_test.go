package periodic_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/periodic"
)

// begin opens a transaction that stays open, as one in psql that somebody has forgotten.
func begin(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	holder, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Rollback(context.Background()) })
	return holder
}

// dispatchWithin fails where a dispatcher waits for what is not to end.
func dispatchWithin(t *testing.T, d *periodic.Dispatcher) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	next, err := d.Dispatch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestOpenTransactionHoldsUpNoOtherSchedule(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(t *testing.T, pool *pgxpool.Pool, holder pgx.Tx) error{
		"which has inserted the unique job": func(t *testing.T, pool *pgxpool.Pool, holder pgx.Tx) error {
			inserter, err := queue.NewInserter(pool)
			if err != nil {
				return err
			}
			_, err = inserter.InsertTx(t.Context(), holder, loneArgs{}, nil)
			return err
		},
		"which has settled the tick": func(t *testing.T, _ *pgxpool.Pool, holder pgx.Tx) error {
			_, err := holder.Exec(t.Context(), `insert into schedule_runs (schedule, tick_at, outcome) values ('lone', $1, 'skipped')`, pgtest.Noon.Add(30*time.Second))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, pgtest.Noon,
				periodic.Entry{Name: "lone", Args: loneArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest},
				periodic.Entry{Name: "sound", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest})
			holder := begin(t, pool)
			if err := hold(t, pool, holder); err != nil {
				t.Fatal(err)
			}
			now := pgtest.Noon.Add(30 * time.Second)
			if next := dispatchWithin(t, newDispatcher(t, pool, now)); next != periodic.RetryLocked {
				t.Errorf("next look in %s, want %s", next, periodic.RetryLocked)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'sound' and outcome = 'enqueued'`); n != 1 {
				t.Errorf("%d ticks of the other schedule, want 1", n)
			}
			if n := numbers(t, pool, `select count(*) from inspect.schedules where name = 'lone' and last_error like 'another transaction is in the way: %'`); n != 1 {
				t.Error("the schedule does not say what is in its way")
			}
			if err := holder.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			dispatchWithin(t, newDispatcher(t, pool, now.Add(periodic.RetryLocked)))
			if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'lone' and outcome = 'enqueued'`); n != 1 {
				t.Errorf("%d of its ticks ran once nothing was in the way, want 1", n)
			}
			if n := numbers(t, pool, `select count(*) from schedules where last_error is not null or retry_at is not null`); n != 0 {
				t.Error("it still says that something is in its way")
			}
		})
	}
}

// What has waited long is tried again after what came due meanwhile.
func TestManyLockedSchedulesKeepNoOtherWaiting(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into schedules (name, kind, spec, next_run_at, retry_at) values ('first', 'tick', 'every 1m', $1, $2), ('second', 'tick', 'every 30s', $3, null)`,
		pgtest.Noon, pgtest.Noon.Add(20*time.Second), pgtest.Noon.Add(30*time.Second))
	dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon.Add(45*time.Second)))
	if n := numbers(t, pool, `select count(*) from river_job job join schedule_runs ran on ran.job_id = job.id where ran.schedule = 'second' and job.id = (select min(id) from river_job)`); n != 1 {
		t.Error("the one that was tried before had its turn first")
	}
}

func TestHeldScheduleIsLookedAtLessAndLess(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon,
		periodic.Entry{Name: "held", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll},
		periodic.Entry{Name: "free", Args: tickArgs{}, Spec: "every 1m", CatchUp: periodic.CatchUpAll})
	holder := begin(t, pool)
	if _, err := holder.Exec(t.Context(), `select from schedules where name = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	now := pgtest.Noon.Add(30 * time.Second)
	dispatcher := newDispatcher(t, pool, now)
	dispatcher.Now = func() time.Time { return now }
	var pauses []time.Duration
	look := func() { pauses = append(pauses, dispatchWithin(t, dispatcher)) }
	for range 6 {
		look()
	}
	now = pgtest.Noon.Add(time.Minute - 200*time.Millisecond) // the next tick of another is not slept through
	look()
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	look()
	ms := time.Millisecond
	want := []time.Duration{periodic.HeldPause, 100 * ms, 200 * ms, 400 * ms, 800 * ms, periodic.PollAlone, 200 * ms, 200 * ms}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	holder = begin(t, pool)
	if _, err := holder.Exec(t.Context(), `select from schedules where name = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	now = pgtest.Noon.Add(time.Minute)
	if next := dispatchWithin(t, dispatcher); next != periodic.HeldPause {
		t.Errorf("held anew, it is left alone for %s, want %s", next, periodic.HeldPause)
	}
}
