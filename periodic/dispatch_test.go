package periodic_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

// wantJobs asserts that each enqueued tick has a job of its own, and no job is without a tick.
func wantJobs(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	var lonely, jobless, shared int
	err := pool.QueryRow(t.Context(), `
		select (select count(*) from river_job job where not exists (select from schedule_runs ran where ran.job_id = job.id)),
		       (select count(*) from schedule_runs ran where outcome = 'enqueued' and not exists (select from river_job job where job.id = ran.job_id)),
		       (select count(*) - count(distinct job_id) from schedule_runs where outcome = 'enqueued')`).Scan(&lonely, &jobless, &shared)
	if err != nil {
		t.Fatal(err)
	}
	if lonely+jobless+shared > 0 {
		t.Errorf("%d jobs belong to no tick, %d ticks have no job, %d share one", lonely, jobless, shared)
	}
}

func TestThreeHoursWithoutAWorkerOfAnHourlySchedule(t *testing.T) {
	t.Parallel()
	down, up := pgtest.Noon.Add(30*time.Minute), pgtest.Noon.Add(3*time.Hour+30*time.Minute)
	for policy, want := range map[periodic.CatchUp][]run{
		periodic.CatchUpAll:    {{"12:00:00", "enqueued", true}, {"13:00:00", "enqueued", true}, {"14:00:00", "enqueued", true}, {"15:00:00", "enqueued", true}},
		periodic.CatchUpLatest: {{"12:00:00", "enqueued", true}, {"13:00:00", "skipped", false}, {"14:00:00", "skipped", false}, {"15:00:00", "enqueued", true}},
		periodic.CatchUpSkip:   {{"12:00:00", "enqueued", true}, {"13:00:00", "skipped", false}, {"14:00:00", "skipped", false}, {"15:00:00", "skipped", false}},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, pgtest.Noon.Add(-time.Minute), periodic.Entry{Name: "hourly", Args: tickArgs{}, Spec: "@hourly", CatchUp: policy})
			for _, now := range []time.Time{pgtest.Noon, down, up, up} { // before, and as soon as somebody is there again; and once more
				if _, err := newDispatcher(t, pool, now).Dispatch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, ledger(t, pool)); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			wantJobs(t, pool)
			wantNext(t, pool, "hourly", pgtest.Noon.Add(4*time.Hour))
		})
	}
}

func wantNext(t *testing.T, pool *pgxpool.Pool, name string, want time.Time) {
	t.Helper()
	var next time.Time
	if err := pool.QueryRow(t.Context(), `select next_run_at from schedules where name = $1`, name).Scan(&next); err != nil {
		t.Fatal(err)
	}
	if !next.Equal(want) {
		t.Errorf("schedule %s is due next at %s, want %s", name, next.UTC(), want.UTC())
	}
}

// numbers counts what a query says.
func numbers(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestLongOutageIsToldByItsLastTicksAndOneGap(t *testing.T) {
	t.Parallel()
	for spec, density := range map[string]time.Duration{"every 1s": time.Second, "* * * * *": time.Minute} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "often", Args: tickArgs{}, Spec: spec, CatchUp: periodic.CatchUpLatest})
			now := pgtest.Noon.Add(3 * periodic.MostMissed * density)
			if _, err := newDispatcher(t, pool, now).Dispatch(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs`); n != periodic.MostMissed {
				t.Errorf("%d ticks in the ledger, want %d", n, periodic.MostMissed)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where outcome = 'enqueued' and tick_at = $1`, now); n != 1 {
				t.Errorf("the last tick is in the ledger %d times as enqueued", n)
			}
			first := now.Add(-(periodic.MostMissed - 1) * density)
			if n := numbers(t, pool, `select count(*) from schedule_gaps where schedule = 'often' and from_at = $1 and until_at = $2 and cause = 'outage'`, pgtest.Noon.Add(density), first); n != 1 {
				t.Error("the gap is not from the first missed tick to the first in the ledger")
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where tick_at < $1`, first); n != 0 {
				t.Errorf("%d ticks of the gap are in the ledger", n)
			}
			wantNext(t, pool, "often", now.Add(density))
		})
	}
}

func TestCatchingUpOnAllGoesInSmallTransactions(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "often", Args: tickArgs{}, Spec: "every 1s", CatchUp: periodic.CatchUpAll})
	const missed = 2*periodic.MostPerClaim + 10
	if _, err := newDispatcher(t, pool, pgtest.Noon.Add(missed*time.Second)).Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := numbers(t, pool, `select count(*) from schedule_runs where outcome = 'enqueued'`); n != missed {
		t.Errorf("%d ticks ran, want %d", n, missed)
	}
	if n := numbers(t, pool, `select count(distinct xmin::text) from river_job`); n != 3 {
		t.Errorf("the jobs were enqueued in %d transactions, want 3", n)
	}
	wantJobs(t, pool)
}

func TestTickFindsTheUnfinishedJobOfAUniqueKind(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "lone", Args: loneArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll})
	for _, after := range []time.Duration{30 * time.Second, 60 * time.Second} {
		if _, err := newDispatcher(t, pool, pgtest.Noon.Add(after)).Dispatch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]run{{"12:00:30", "enqueued", true}, {"12:01:00", "skipped", true}}, ledger(t, pool)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if n := numbers(t, pool, `select count(distinct job_id) from schedule_runs`); n != 1 {
		t.Errorf("the ticks name %d jobs, want the same", n)
	}
}

func TestArgsAreThoseOfTheTickHoweverLate(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "daily", Args: dayArgs{}, Spec: "0 6 * * *", Timezone: "Asia/Kolkata", CatchUp: periodic.CatchUpAll})
	if _, err := newDispatcher(t, pool, pgtest.Noon.AddDate(0, 0, 3)).Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := pool.Query(t.Context(), `select job.args ->> 'day' from schedule_runs ran join river_job job on job.id = ran.job_id order by ran.tick_at`)
	if err != nil {
		t.Fatal(err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(days, " "); got != "2026-03-05T00:30:00Z 2026-03-06T00:30:00Z 2026-03-07T00:30:00Z" {
		t.Errorf("the jobs are about %s", got)
	}
}

func TestJitterPutsOffTheJobAndNotTheTick(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	now := time.Now().UTC().Truncate(time.Minute) // River compares with its own clock
	sync1(t, pool, now.Add(-time.Second), periodic.Entry{Name: "spread", Args: tickArgs{}, Spec: "* * * * *", CatchUp: periodic.CatchUpAll, Jitter: time.Hour})
	if _, err := newDispatcher(t, pool, now).Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	var tick, start time.Time
	if err := pool.QueryRow(t.Context(), `select ran.tick_at, job.scheduled_at from schedule_runs ran join river_job job on job.id = ran.job_id`).Scan(&tick, &start); err != nil {
		t.Fatal(err)
	}
	if want := periodic.Postponed("spread", now, time.Hour); !tick.Equal(now) || !start.Equal(want) {
		t.Errorf("tick %s starts at %s, want %s and %s", tick, start, now, want)
	}
}

func TestScheduleOfPlainSQLGoesOnWithItsNextTick(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	now := pgtest.Noon.Add(10 * time.Second)
	exec(t, pool, `insert into schedules (name, kind, spec, next_run_at) values ('typed', 'tick', 'every 30s', $1)`, now)
	for _, at := range []time.Time{now, pgtest.Noon.Add(30 * time.Second)} {
		if _, err := newDispatcher(t, pool, at).Dispatch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, pool, `update schedules set next_run_at = $1`, pgtest.Noon.Add(-time.Hour)) // somebody sets it back
	if _, err := newDispatcher(t, pool, pgtest.Noon.Add(time.Minute)).Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]run{{"12:00:30", "enqueued", true}, {"12:01:00", "enqueued", true}}, ledger(t, pool)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func TestDispatcherWakesOnAChangeAndSleepsUntilTheTick(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	wake := make(chan struct{}, 1)
	dispatcher := newDispatcher(t, pool, time.Time{})
	dispatcher.Now, dispatcher.Wake = nil, wake
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "listen "+periodic.Channel); err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithCancel(t)
	var running sync.WaitGroup
	running.Go(func() { dispatcher.Run(ctx) })
	running.Go(func() {
		for {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return
			}
			wake <- struct{}{}
		}
	})
	exec(t, pool, `insert into schedules (name, kind, spec) values ('often', 'tick', 'every 1s')`)
	pgtest.Eventually(t, "three ticks have run", func() (bool, error) {
		return numbers(t, pool, `select count(*) from schedule_runs where outcome = 'enqueued'`) >= 3, nil
	})
	stop()
	running.Wait()
	t.Logf("later than their ticks by %d ms at most", numbers(t, pool, `select max(extract(epoch from job.created_at - ran.tick_at) * 1000)::integer from schedule_runs ran join river_job job on job.id = ran.job_id`))
}

func TestScheduleInAnotherProcessesHandsIsLeftAlone(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon,
		periodic.Entry{Name: "held", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll},
		periodic.Entry{Name: "free", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll})
	holder, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.Background())
	if _, err := holder.Exec(t.Context(), `select from schedules where name = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	dispatcher := newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second))
	next, err := dispatcher.Dispatch(t.Context())
	if err != nil || next <= 0 || next > time.Second {
		t.Errorf("next look in %s (%v), want one soon but not at once", next, err)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'free'`); n != 1 {
		t.Errorf("%d ticks of the other schedule", n)
	}
	if _, err := dispatcher.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := numbers(t, pool, `select count(*) from schedule_runs`); n != 2 {
		t.Errorf("%d ticks once it is free again, want 2", n)
	}
}
