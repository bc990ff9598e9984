package periodic_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
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

// decode knows tickArgs only.
func decode(_ string, args []byte) (river.JobArgs, error) {
	return tickArgs{}, json.Unmarshal(args, &tickArgs{})
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
	if err := periodic.SyncAt(t.Context(), pool, entries, now); err != nil {
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

func TestBrokenScheduleHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "sound", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest})
	if _, err := pool.Exec(t.Context(), `insert into schedules (name, kind, spec, next_run_at) values ('broken', 'tick', 'now and then', $1)`, pgtest.Noon); err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	dispatcher := newDispatcher(t, pool, pgtest.Noon.Add(time.Minute))
	dispatcher.Log = slog.New(slog.NewTextHandler(&logged, nil))
	if _, err := dispatcher.Dispatch(t.Context()); err != nil {
		t.Fatalf("Dispatch: %v", err)
	}
	if runs := ledger(t, pool); len(runs) != 2 {
		t.Errorf("ledger = %v, want both ticks of the sound schedule", runs)
	}
	if !strings.Contains(logged.String(), "schedule=broken") {
		t.Errorf("the log does not name the broken schedule: %s", logged.String())
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

func TestParseSpecRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"", "30s", "every", "every ", "every day", "every 0s", "every 500ms", "every -1m", "*/5 * * * *"} {
		if schedule, err := periodic.ParseSpec(spec); err == nil {
			t.Errorf("%q was read as %v", spec, schedule)
		}
	}
}

func TestBuiltInTimetableFitsRiver(t *testing.T) {
	t.Parallel()
	for _, entry := range periodic.BuiltIn() {
		schedule, err := periodic.ParseSpec(entry.Spec)
		if err != nil {
			t.Errorf("%s: %v", entry.Name, err)
			continue
		}
		if err := entry.Args.Contract().Check(); err != nil {
			t.Errorf("%s: %v", entry.Name, err)
		}
		river.NewPeriodicJob(schedule, func() (river.JobArgs, *river.InsertOpts) { return entry.Args, nil }, nil)
	}
}
