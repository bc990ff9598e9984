package periodic_test

import (
	"context"
	"fmt"
	"slices"
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

// dispatchLines are of both sorts, about the hours in which clocks are changed.
var dispatchLines = []string{"30 1 * * *", "15 2 * * *", "*/30 1-3 * * *", "45 */4 * * *", "0 2 * * SUN"}

// A dispatcher lives through 30 days around each change of clocks, asleep until the next tick as Run is: each
// tick that a walk of every minute calls due runs, and runs once.
func TestDispatcherRunsEachTickAroundAChangeOfClocks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ zone, change string }{
		{"Europe/London", "2026-03-29"}, {"Europe/London", "2026-10-25"},
		{"America/St_Johns", "2026-03-08"}, {"America/St_Johns", "2026-11-01"},
		{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"},
	} {
		t.Run(tc.zone+" "+tc.change, func(t *testing.T) {
			t.Parallel()
			change, err := time.Parse(time.DateOnly, tc.change)
			if err != nil {
				t.Fatal(err)
			}
			from, until := change.AddDate(0, 0, -15), change.AddDate(0, 0, 15)
			pool := pgtest.Pool(t)
			var entries []periodic.Entry
			for i, spec := range dispatchLines {
				entries = append(entries, periodic.Entry{Name: fmt.Sprintf("line-%d", i), Args: tickArgs{}, Spec: spec, Timezone: tc.zone, CatchUp: periodic.CatchUpSkip})
			}
			sync1(t, pool, from, entries...)
			now := from
			dispatcher := newDispatcher(t, pool, now)
			dispatcher.Now = func() time.Time { return now }
			for now.Before(until) {
				next, err := dispatcher.Dispatch(t.Context())
				if err != nil || next <= 0 {
					t.Fatalf("Dispatch at %s: next in %s, %v", now, next, err)
				}
				now = now.Add(next)
			}
			if diff := cmp.Diff(walked(t, tc.zone, from, until), ran(t, pool)); diff != "" {
				t.Errorf("ticks (-due +run):\n%s", diff)
			}
			wantJobs(t, pool)
		})
	}
}

// walked are the ticks that dispatchLines have after from and before until, by a walk of every minute.
func walked(t *testing.T, timezone string, from, until time.Time) []string {
	t.Helper()
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		t.Fatal(err)
	}
	var lines []*naive
	for _, text := range dispatchLines {
		lines = append(lines, readNaive(text))
	}
	w := newWalker(zone, lines)
	w.at(from.Add(-time.Minute), nil)
	var ticks []string
	for at := from; at.Before(until); at = at.Add(time.Minute) {
		for _, i := range w.at(at, nil) {
			if at.After(from) {
				ticks = append(ticks, fmt.Sprintf("line-%d %s", i, at.Format(time.RFC3339)))
			}
		}
	}
	slices.Sort(ticks)
	return ticks
}

// ran are the ticks that were enqueued, each as often as the ledger has it.
func ran(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select schedule, tick_at from schedule_runs where outcome = 'enqueued'`)
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var name string
		var at time.Time
		err := row.Scan(&name, &at)
		return name + " " + at.UTC().Format(time.RFC3339), err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ticks)
	return ticks
}

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

func TestBrokenScheduleSaysWhyAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ set, want string }{
		"a spec nobody can read":      {`spec = 'now and then'`, `spec "now and then": has 3 fields`},
		"a timezone that is none":     {`timezone = 'Mars/Olympus', spec = '@daily'`, `timezone "Mars/Olympus" is unknown`},
		"a kind of another build":     {`kind = 'sing'`, `kind "sing" is unknown`},
		"args that do not fit":        {`args = '{"day": 7}'`, `args: unknown field "day"`},
		"args that no tick can fill":  {`kind = 'day', args = '{"day": "never"}'`, `tick 2026-03-04T12:00:30Z: no day`},
		"args that are refused later": {`kind = 'day', args = '{"day": "bad"}'`, `tick 2026-03-04T12:00:30Z: a bad day`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "sound", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest},
				periodic.Entry{Name: "broken", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll})
			exec(t, pool, `update schedules set `+tc.set+` where name = 'broken'`)
			logged := &strings.Builder{}
			now := pgtest.Noon.Add(30 * time.Second)
			dispatch := func() time.Duration {
				t.Helper()
				dispatcher := newDispatcher(t, pool, now)
				dispatcher.Log = textLog(logged)
				next, err := dispatcher.Dispatch(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return next
			}
			dispatch()
			if next := dispatch(); next != 30*time.Second { // the broken one is left alone meanwhile
				t.Errorf("the next tick is in %s", next)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'sound'`); n != 1 {
				t.Errorf("%d ticks of the sound schedule", n)
			}
			var reason string
			if err := pool.QueryRow(t.Context(), `select last_error from inspect.schedules where name = 'broken' and last_error_at = $1`, now).Scan(&reason); err != nil || !strings.HasPrefix(reason, tc.want) {
				t.Errorf("reason %q, want %q (%v)", reason, tc.want, err)
			}
			now = now.Add(periodic.RetryBroken)
			dispatch()
			if n := strings.Count(logged.String(), "schedule=broken"); n != 1 {
				t.Errorf("it was logged %d times, want once: %s", n, logged)
			}

			exec(t, pool, `update schedules set kind = 'tick', args = '{}', spec = 'every 30s', timezone = 'UTC' where name = 'broken'`)
			now = now.Add(periodic.RetryBroken)
			dispatch()
			if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'broken' and outcome = 'enqueued'`); n != 3 {
				t.Errorf("%d of its 3 ticks ran once it was mended", n)
			}
			if n := numbers(t, pool, `select count(*) from schedules where last_error is not null or last_error_at is not null`); n != 0 {
				t.Error("it still says why it cannot run")
			}
		})
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
