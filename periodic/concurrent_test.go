package periodic_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

// meanwhile makes a change, and another one that begins before the first is committed and has to wait for it.
func meanwhile(t *testing.T, pool *pgxpool.Pool, first func(tx pgx.Tx) error, second func() error) {
	t.Helper()
	holder := begin(t, pool)
	if err := first(holder); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- second() }()
	pgtest.Eventually(t, "the second change waits for the first", func() (bool, error) {
		select {
		case err := <-ended:
			t.Fatalf("the second change did not wait: %v", err)
		default:
		}
		return numbers(t, pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0, nil
	})
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestResumeAfterAPauseThatWasNotCommittedYet(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	d.must(d.add(periodic.Draft{Name: "often", Kind: "tick", Spec: "every 30s"}))
	meanwhile(t, d.pool,
		func(tx pgx.Tx) error {
			_, err := d.pause(periodic.Operator{Now: func() time.Time { return d.now }}, tx)
			return err
		},
		func() error {
			_, err := (&desk{t, d.pool, d.now.Add(time.Minute)}).try(d.resume)
			return err
		})
	if n := numbers(t, d.pool, `select count(*) from schedules where paused_at is null`); n != 1 {
		t.Error("it is paused, though it was resumed last")
	}
	if n := numbers(t, d.pool, `select count(*) from schedule_gaps where cause = 'paused'`); n != 1 {
		t.Errorf("%d gaps in the ledger, want the one of the pause", n)
	}
}

func TestProgramOfALaterStartSetsTheTimetable(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	entry := periodic.Entry{Name: "own", Args: tickArgs{}, Spec: "@hourly", CatchUp: periodic.CatchUpLatest}
	sync1(t, pool, pgtest.Noon, entry)
	now := pgtest.Noon
	meanwhile(t, pool,
		func(tx pgx.Tx) error { // by one of an older version
			_, err := tx.Exec(t.Context(), `update schedules set spec = '@daily'`)
			return err
		},
		func() error { return periodic.SyncAt(t.Context(), pool, []periodic.Entry{entry}, now) })
	spec := ""
	if err := pool.QueryRow(t.Context(), `select spec from schedules`).Scan(&spec); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entry.Spec, spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}
