package periodic_test

import (
	"fmt"
	"slices"
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
