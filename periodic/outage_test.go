package periodic_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

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

// The ticks of a cron line need not lie as near to each other just before the end of an outage as elsewhere.
func TestLongOutageOfALineWhoseTicksAreUneven(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		spec, from, now   string
		listed            int
		latest, gap, next string // a gap from the first tick until this one; empty: none
	}{
		{"*/5 * 1-7 * *", "2026-01-01T00:00:00Z", "2026-06-20T12:00:00Z", periodic.MostMissed, "2026-06-07T23:55:00Z", "2026-02-01T06:40:00Z", "2026-07-01T00:00:00Z"},
		{"* * * JAN *", "2026-01-01T00:00:00Z", "2026-02-10T12:00:00Z", periodic.MostMissed, "2026-01-31T23:59:00Z", "2026-01-25T01:20:00Z", "2027-01-01T00:00:00Z"},
		{"0 * * * *", "2025-01-01T00:00:00Z", "2026-07-01T00:30:00Z", periodic.MostMissed, "2026-07-01T00:00:00Z", "2025-05-10T09:00:00Z", "2026-07-01T01:00:00Z"},
		{"* * * * *", "2006-01-01T00:00:00Z", "2026-01-01T00:00:00Z", periodic.MostMissed, "2026-01-01T00:00:00Z", "2025-12-25T01:21:00Z", "2026-01-01T00:01:00Z"},
		{"* * * * *", "2026-01-01T00:00:00Z", "2026-01-07T22:40:00Z", periodic.MostMissed, "2026-01-07T22:40:00Z", "", "2026-01-07T22:41:00Z"},
		{"every 264h", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z", periodic.MostMissed, "2025-12-27T00:00:00Z", "1724-11-06T00:00:00Z", "2026-01-07T00:00:00Z"},
		{"@yearly", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 2025, "2026-01-01T00:00:00Z", "", "2027-01-01T00:00:00Z"},
	} {
		t.Run(tc.spec+" from "+tc.from, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			now, err := time.Parse(time.RFC3339, tc.now)
			if err != nil {
				t.Fatal(err)
			}
			exec(t, pool, `insert into schedules (name, kind, spec, next_run_at) values ('uneven', 'tick', $1, $2::text::timestamptz + interval '1 second')`, tc.spec, tc.from)
			if _, err := newDispatcher(t, pool, now).Dispatch(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs`); n != tc.listed {
				t.Errorf("%d ticks in the ledger, want %d", n, tc.listed)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where outcome = 'enqueued' and tick_at = $1::text::timestamptz`, tc.latest); n != 1 {
				t.Errorf("%s was not enqueued", tc.latest)
			}
			wantGaps(t, pool, tc.gap)
			if next := instants(t, pool, `select next_run_at from schedules`); next != tc.next {
				t.Errorf("due next at %s, want %s", next, tc.next)
			}
		})
	}
}

// wantGaps asserts that the ledger begins where the only gap ends, or has none.
func wantGaps(t *testing.T, pool *pgxpool.Pool, until string) {
	t.Helper()
	if got := instants(t, pool, `select until_at from schedule_gaps where cause = 'outage'`); got != until {
		t.Errorf("gaps until %q, want %q", got, until)
	}
	if first := instants(t, pool, `select min(tick_at) from schedule_runs`); until != "" && first != until {
		t.Errorf("the ledger begins at %s, want the end of the gap", first)
	}
}

// instants are those that a query answers, in one line.
func instants(t *testing.T, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var at time.Time
		err := row.Scan(&at)
		return at.UTC().Format(time.RFC3339), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(texts, " ")
}

func TestTickCountsAsOnTimeUpToALateness(t *testing.T) {
	t.Parallel()
	tick := pgtest.Noon.Add(time.Hour)
	for late, want := range map[time.Duration]string{0: "enqueued", periodic.Lateness: "enqueued", periodic.Lateness + time.Microsecond: "skipped"} {
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "hourly", Args: tickArgs{}, Spec: "@hourly", CatchUp: periodic.CatchUpSkip})
			if _, err := newDispatcher(t, pool, tick.Add(late)).Dispatch(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]run{{"13:00:00", want, want == "enqueued"}}, ledger(t, pool)); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		})
	}
	if periodic.Lateness != 30*time.Second {
		t.Errorf("the lateness is %s; the docs say 30 s", periodic.Lateness)
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
