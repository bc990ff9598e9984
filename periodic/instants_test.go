package periodic_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

func TestInstantsThatNoProgramCanReadAreRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into schedules (name, kind, spec) values ('often', 'tick', 'every 30s')`)
	for _, column := range []string{"next_run_at", "created_at", "changed_at", "paused_at", "last_error_at", "retry_at"} {
		for _, at := range []string{"infinity", "-infinity", "10000-01-01 00:00Z", "0001-12-31 23:59:59Z BC"} {
			_, err := pool.Exec(t.Context(), `update schedules set `+column+` = $1::text::timestamptz`, at)
			wantRefused(t, column+" "+at, err)
		}
		for _, at := range []string{"0001-01-01 00:00Z", "9999-12-31 23:59:59.999999Z"} {
			exec(t, pool, `update schedules set `+column+` = $1::text::timestamptz`, at)
		}
	}
	for _, at := range []string{"infinity", "-infinity", "10000-01-01 00:00Z", "0001-12-31 23:59:59Z BC"} {
		_, err := pool.Exec(t.Context(), `insert into schedule_runs (schedule, tick_at, outcome) values ('often', $1::text::timestamptz, 'skipped')`, at)
		wantRefused(t, "tick_at "+at, err)
		_, err = pool.Exec(t.Context(), `insert into schedule_runs (schedule, tick_at, outcome, at) values ('often', now(), 'skipped', $1::text::timestamptz)`, at)
		wantRefused(t, "at "+at, err)
		for _, ends := range []string{`least($1::text::timestamptz, now()), now() + interval '1 day'`, `now(), greatest($1::text::timestamptz, now() + interval '1 day')`} {
			_, err = pool.Exec(t.Context(), `insert into schedule_gaps (schedule, from_at, until_at, cause, at) values ('often', `+ends+`, 'paused', $1::text::timestamptz)`, at)
			wantRefused(t, "a gap "+ends+" "+at, err)
		}
	}
}

func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || !strings.HasSuffix(refused.ConstraintName, "_instants_check") {
		t.Errorf("%s: %v, want it refused", what, err)
	}
}

// A ledger with a tick of the last second of all leaves no next one.
func TestScheduleWithoutANextTickSaysSo(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon,
		periodic.Entry{Name: "ended", Args: tickArgs{}, Spec: "@yearly", CatchUp: periodic.CatchUpLatest},
		periodic.Entry{Name: "sound", Args: tickArgs{}, Spec: "@yearly", CatchUp: periodic.CatchUpLatest})
	exec(t, pool, `insert into schedule_runs (schedule, tick_at, outcome) values ('ended', '9999-12-31 23:59:59Z', 'skipped')`)
	dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon.AddDate(1, 0, 0)))
	if n := numbers(t, pool, `select count(*) from schedules where name = 'ended' and last_error like 'its next tick is in the year 10000%'`); n != 1 {
		t.Error("it does not say that there is no next tick")
	}
	if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'sound' and outcome = 'enqueued'`); n != 1 {
		t.Errorf("%d ticks of the other schedule, want 1", n)
	}
}

func TestScheduleOverdueForTwoThousandYearsIsListed(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into schedules (name, kind, spec, next_run_at) values ('far', 'tick', 'every 30s', '0001-01-01 00:00Z')`)
	s, err := periodic.Get(t.Context(), pool, "far")
	if err != nil || s.Overdue == nil || s.Overdue.Hours() != 36500*24 {
		t.Errorf("it is overdue by %v (%v), want a century", s.Overdue, err)
	}
}

// No Duration holds the time until the year 9999, or since the year 1.
func TestDispatcherSleepsADayAtMost(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]time.Duration{"9999-12-31 23:59:59Z": 24 * time.Hour, "0001-01-01 00:00Z": 30 * time.Second} {
		t.Run(next, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			exec(t, pool, `insert into schedules (name, kind, spec, next_run_at) values ('far', 'tick', 'every 30s', $1::text::timestamptz)`, next)
			if got := dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon)); got != want {
				t.Errorf("next look in %s, want %s", got, want)
			}
			listed, err := periodic.Get(t.Context(), pool, "far")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(struct {
				periodic.Schedule
				Upcoming []time.Time
			}{listed, listed.Upcoming(5)}); err != nil {
				t.Errorf("it cannot be shown: %v", err)
			}
		})
	}
}
