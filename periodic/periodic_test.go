package periodic_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/jobs"
	"backoffice/periodic"
)

// tickArgs is a kind without uniqueness, so that each tick leaves a job of its own.
type tickArgs struct{}

func (tickArgs) Kind() string                 { return "tick" }
func (tickArgs) Validate() error              { return nil }
func (tickArgs) Contract() jobs.Contract      { return jobs.Contract{Kind: "tick"} }
func (tickArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{} }

// loneArgs is a kind of which one unfinished job keeps others out.
type loneArgs struct{}

func (loneArgs) Kind() string            { return "lone" }
func (loneArgs) Validate() error         { return nil }
func (loneArgs) Contract() jobs.Contract { return jobs.Contract{Kind: "lone"} }
func (loneArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: jobs.ReconcileOrdersArgs{}.InsertOpts().UniqueOpts}
}

// dayArgs is a kind whose args depend on the tick.
type dayArgs struct {
	Day string `json:"day,omitempty"`
}

func (dayArgs) Kind() string                 { return "day" }
func (dayArgs) Contract() jobs.Contract      { return jobs.Contract{Kind: "day"} }
func (dayArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{} }
func (a dayArgs) Validate() error {
	if a.Day == "a bad one" {
		return errors.New("a bad day")
	}
	return nil
}

func (a dayArgs) At(tick time.Time) (jobs.Args, error) {
	switch a.Day {
	case "never":
		return nil, errors.New("no day")
	case "bad":
		return dayArgs{Day: "a bad one"}, nil
	}
	return dayArgs{Day: tick.UTC().Format(time.RFC3339)}, nil
}

// decode knows the kinds of these tests.
func decode(kind string, args []byte) (river.JobArgs, error) {
	switch kind {
	case "tick":
		return jobs.Decode[tickArgs](args)
	case "lone":
		return jobs.Decode[loneArgs](args)
	case "day":
		return jobs.Decode[dayArgs](args)
	}
	return nil, fmt.Errorf("kind %q is unknown", kind)
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func newDispatcher(t *testing.T, pool *pgxpool.Pool, now time.Time) *periodic.Dispatcher {
	t.Helper()
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatalf("NewInserter: %v", err)
	}
	return &periodic.Dispatcher{
		Pool: pool, Jobs: inserter, Decode: decode,
		Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler),
	}
}

func sync1(t *testing.T, pool *pgxpool.Pool, now time.Time, entries ...periodic.Entry) {
	t.Helper()
	if err := periodic.SyncAt(t.Context(), pool, entries, slog.New(slog.DiscardHandler), now); err != nil {
		t.Fatalf("Sync: %v", err)
	}
}

// run is a row of the ledger.
type run struct {
	Tick    string
	Outcome string
	HasJob  bool
}

func ledger(t *testing.T, pool *pgxpool.Pool) []run {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		select to_char(r.tick_at at time zone 'UTC', 'HH24:MI:SS'), r.outcome, j.id is not null
		  from schedule_runs r left join river_job j on j.id = r.job_id
		 order by r.tick_at`)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[run])
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestDispatchRunsDueTicksByCatchUpPolicy(t *testing.T) {
	t.Parallel()
	start := pgtest.Noon
	for _, tc := range []struct {
		name   string
		policy periodic.CatchUp
		after  time.Duration
		want   []run
	}{
		{"nothing is due yet", periodic.CatchUpLatest, 29 * time.Second, []run{}},
		{"one tick on time", periodic.CatchUpSkip, 30 * time.Second, []run{{"12:00:30", "enqueued", true}}},
		{"all missed ticks run", periodic.CatchUpAll, 95 * time.Second,
			[]run{{"12:00:30", "enqueued", true}, {"12:01:00", "enqueued", true}, {"12:01:30", "enqueued", true}}},
		{"the latest missed tick runs", periodic.CatchUpLatest, 95 * time.Second,
			[]run{{"12:00:30", "skipped", false}, {"12:01:00", "skipped", false}, {"12:01:30", "enqueued", true}}},
		{"of missed ticks none runs, but the one that is on time", periodic.CatchUpSkip, 95 * time.Second,
			[]run{{"12:00:30", "skipped", false}, {"12:01:00", "skipped", false}, {"12:01:30", "enqueued", true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, start, periodic.Entry{Name: "tick", Args: tickArgs{}, Spec: "every 30s", CatchUp: tc.policy})
			next, err := newDispatcher(t, pool, start.Add(tc.after)).Dispatch(t.Context())
			if err != nil {
				t.Fatalf("Dispatch: %v", err)
			}
			if diff := cmp.Diff(tc.want, ledger(t, pool)); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if want := (tc.after/(30*time.Second)+1)*30*time.Second - tc.after; next != want {
				t.Errorf("next tick in %s, want %s", next, want)
			}
		})
	}
}

func TestManyDispatchersRunEachTickOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "tick", Args: tickArgs{}, Spec: "every 1s", CatchUp: periodic.CatchUpAll})
	const seconds = 40
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for second := range seconds {
				if _, err := newDispatcher(t, pool, pgtest.Noon.Add(time.Duration(second+1)*time.Second)).Dispatch(t.Context()); err != nil {
					t.Errorf("Dispatch: %v", err)
				}
			}
		})
	}
	group.Wait()
	if runs := ledger(t, pool); len(runs) != seconds {
		t.Errorf("%d ticks in the ledger, want %d", len(runs), seconds)
	}
	var queued int
	if err := pool.QueryRow(t.Context(), `select count(*) from river_job where kind = 'tick'`).Scan(&queued); err != nil {
		t.Fatal(err)
	}
	if queued != seconds {
		t.Errorf("%d jobs, want %d", queued, seconds)
	}
}

func TestPausedScheduleRunsNoTick(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	entry := periodic.Entry{Name: "tick", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll}
	sync1(t, pool, pgtest.Noon, entry)
	if _, err := pool.Exec(t.Context(), `update schedules set paused_at = now()`); err != nil {
		t.Fatal(err)
	}
	sync1(t, pool, pgtest.Noon, entry) // a restart does not resume it
	next, err := newDispatcher(t, pool, pgtest.Noon.Add(time.Hour)).Dispatch(t.Context())
	if err != nil {
		t.Fatalf("Dispatch: %v", err)
	}
	if runs := ledger(t, pool); len(runs) != 0 || next >= 0 {
		t.Errorf("ledger = %v, next in %s, want neither", runs, next)
	}
}

func TestSyncMovesNoTickOfAnUnchangedSchedule(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	entry := periodic.Entry{Name: "tick", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll}
	next := func() (at time.Time) {
		if err := pool.QueryRow(t.Context(), `select next_run_at from schedules`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	sync1(t, pool, pgtest.Noon, entry)
	sync1(t, pool, pgtest.Noon.Add(time.Hour), entry)
	if want := pgtest.Noon.Add(30 * time.Second); !next().Equal(want) {
		t.Errorf("after a restart the next tick is %s, want %s", next(), want)
	}
	entry.Spec = "every 1m"
	sync1(t, pool, pgtest.Noon.Add(time.Hour), entry)
	if want := pgtest.Noon.Add(time.Hour + time.Minute); !next().Equal(want) {
		t.Errorf("after a change of spec the next tick is %s, want %s", next(), want)
	}
}
