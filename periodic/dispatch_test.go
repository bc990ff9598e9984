package periodic_test

import (
	"context"
	"strings"
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
