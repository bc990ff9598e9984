package queue

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
)

type outcomeArgs struct {
	Outcome string `json:"outcome"`
}

func (outcomeArgs) Kind() string { return "outcome" }

// outcomes is everything a worker can answer River with.
var outcomes = map[string]func(ctx context.Context) error{
	"nil":          func(context.Context) error { return nil },
	"error":        func(context.Context) error { return errors.New("no luck") },
	"cancel":       func(context.Context) error { return river.JobCancel(errors.New("no use")) },
	"snooze":       func(context.Context) error { return river.JobSnooze(time.Hour) },
	"short snooze": func(context.Context) error { return river.JobSnooze(2 * time.Second) },
	"panic":        func(context.Context) error { panic("no idea") },
	"output":       func(ctx context.Context) error { return river.RecordOutput(ctx, map[string]int{"rows": 3}) },
	"interrupt":    func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
}

type outcomeWorker struct {
	river.WorkerDefaults[outcomeArgs]
}

func (outcomeWorker) Work(ctx context.Context, job *river.Job[outcomeArgs]) error {
	return outcomes[job.Args.Outcome](ctx)
}

// TestPilot holds the fenced pilot against River's own: for attempts that are current, both leave the
// same rows behind and tell subscribers the same.
func TestPilot(t *testing.T) {
	t.Parallel()
	var stock, fenced map[string]played
	t.Run("River's own", func(t *testing.T) { // a subtest has a database of its own
		stock = playOutcomes(t, func(pool *pgxpool.Pool) (riverdriver.Driver[pgx.Tx], []rivertype.Middleware) {
			return riverpgxv5.New(pool), nil
		})
	})
	t.Run("the fenced pilot", func(t *testing.T) {
		fenced = playOutcomes(t, func(pool *pgxpool.Pool) (riverdriver.Driver[pgx.Tx], []rivertype.Middleware) {
			return newFencedDriver(pool, slog.New(slog.DiscardHandler), &gate{}), []rivertype.Middleware{&attemptToken{}}
		})
	})
	ignored := []cmp.Option{
		cmpopts.IgnoreFields(rivertype.JobRow{}, "ID", "CreatedAt", "AttemptedAt", "ScheduledAt", "FinalizedAt"),
		cmpopts.IgnoreFields(rivertype.AttemptError{}, "At", "Trace"),
	}
	if diff := cmp.Diff(stock, fenced, ignored...); diff != "" {
		t.Errorf("the fenced pilot differs from River's (-stock +fenced):\n%s", diff)
	}
	if len(fenced) != 2*len(outcomes) {
		t.Errorf("compared %d jobs, want %d", len(fenced), 2*len(outcomes))
	}
}

// played is what one job's attempt left behind.
type played struct {
	Row   *rivertype.JobRow
	Event river.EventKind
}

// playOutcomes lets one attempt of a job end in each outcome, once with attempts left and once on the
// last attempt, and stops the client while the interrupted ones run.
func playOutcomes(t *testing.T, build func(*pgxpool.Pool) (riverdriver.Driver[pgx.Tx], []rivertype.Middleware)) map[string]played {
	t.Helper()
	ctx := t.Context()
	pool := pgtest.Pool(t)
	driver, middleware := build(pool)
	registered := river.NewWorkers()
	river.AddWorker(registered, outcomeWorker{})
	client, err := river.NewClient(driver, &river.Config{
		ID: "conformance", Queues: map[string]river.QueueConfig{"default": {MaxWorkers: 50}}, Workers: registered,
		Logger: slog.New(slog.DiscardHandler), Middleware: middleware, RetryPolicy: inAnHour{},
		SoftStopTimeout: 100 * time.Millisecond, // then the interrupted jobs are, with nobody left to fetch them again
	})
	if err != nil {
		t.Fatalf("new client: %v", err)
	}
	events, unsubscribe := client.Subscribe(river.EventKindJobCancelled, river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobInterrupted, river.EventKindJobSnoozed)
	defer unsubscribe()

	names := map[int64]string{}
	for outcome := range outcomes {
		for _, opts := range []river.InsertOpts{{MaxAttempts: 1, Tags: []string{"last"}}, {MaxAttempts: 5, Tags: []string{"first"}}} {
			inserted, err := client.Insert(ctx, outcomeArgs{Outcome: outcome}, &opts)
			if err != nil {
				t.Fatalf("insert: %v", err)
			}
			names[inserted.Job.ID] = outcome + ", " + opts.Tags[0] + " attempt"
		}
	}
	if err := client.Start(ctx); err != nil {
		t.Fatalf("start: %v", err)
	}
	got := map[string]played{}
	take := func(n int) {
		for len(got) < n {
			select {
			case event, open := <-events:
				if !open {
					t.Fatalf("%d of %d jobs ended before the client did", len(got), n)
				}
				if _, again := got[names[event.Job.ID]]; !again {
					got[names[event.Job.ID]] = played{event.Job, event.Kind}
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%d of %d jobs ended", len(got), n)
			}
		}
	}
	take(len(names) - 2)
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := client.Stop(stopCtx); err != nil {
		t.Fatalf("stop: %v", err)
	}
	take(len(names))
	return got
}

type inAnHour struct{}

func (inAnHour) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(time.Hour) }
