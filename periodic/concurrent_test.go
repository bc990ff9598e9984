package periodic_test

import (
	"context"
	"strings"
	"testing"
	"time"

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

func TestHeldScheduleKeepsNoProgramFromStarting(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	held := periodic.Entry{Name: "held", Args: tickArgs{}, Spec: "@hourly", CatchUp: periodic.CatchUpLatest}
	free := periodic.Entry{Name: "other", Args: tickArgs{}, Spec: "@hourly", CatchUp: periodic.CatchUpLatest}
	sync1(t, pool, pgtest.Noon, held)
	holder := begin(t, pool)
	if _, err := holder.Exec(t.Context(), `update schedules set spec = '@daily' where name = 'held'`); err != nil {
		t.Fatal(err)
	}
	start := func() (logged string) {
		t.Helper()
		log := &strings.Builder{}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := periodic.SyncAt(ctx, pool, []periodic.Entry{held, free}, textLog(log), pgtest.Noon); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if logged := start(); !strings.Contains(logged, "schedule=held") || strings.Contains(logged, "schedule=other") {
		t.Errorf("it says %q", logged)
	}
	if n := numbers(t, pool, `select count(*) from schedules where name = 'other'`); n != 1 {
		t.Error("the schedule that nobody holds is not there")
	}
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if logged := start(); logged != "" {
		t.Errorf("at the next start it says %q", logged)
	}
	if n := numbers(t, pool, `select count(*) from schedules where name = 'held' and spec = '@hourly'`); n != 1 {
		t.Error("the next start has not brought it in step")
	}
}
