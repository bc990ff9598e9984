package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

var noopScenario = Scenario{
	Name:    "noop",
	Summary: "jobs per second that do nothing: what the engine itself costs, next to stock River",
	Prepare: prepareNoop,
}

func prepareNoop(ctx context.Context, lab *Lab) (*Plan, error) {
	n := 2 * lab.Settings.Orders
	waiting, err := lab.Template(ctx, fmt.Sprintf("%d no-op jobs", n), func(ctx context.Context, db *Database) error { return insertNoops(ctx, db, n) })
	if err != nil {
		return nil, err
	}
	const ours = "backoffice, 1,000 workers"
	plan := &Plan{Contestants: []Contestant{
		{Name: ours, Detail: "the client of a worker process: fenced outcomes, tally, outcome log at warn", Template: waiting, Run: drains(n, newNoopWorker)},
	}}
	for _, floor := range []struct {
		name, detail string
		workers      int
		atLeast, aim float64
	}{
		{"river, bench settings", "floor: stock driver, FetchCooldown 2ms, FetchPollInterval 20ms, 2,000 workers, as `river bench` has it", 2_000, 1, 1.2},
		{"river, 1,000 workers", "floor: the same with as many workers as ours", 1_000, 0, 0},
	} {
		plan.Contestants = append(plan.Contestants, Contestant{Name: floor.name, Detail: floor.detail, Template: waiting, Run: drains(n, newStockWorker(floor.workers))})
		plan.Ratios = append(plan.Ratios, Ratio{What: "against " + floor.name, Of: ours, Against: floor.name, Figure: "jobs/s", AtLeast: floor.atLeast, Aim: floor.aim})
	}
	return plan, nil
}

// noopArgs are of jobs that do nothing.
type noopArgs struct {
	Num int `json:"num"`
}

func (noopArgs) Kind() string { return "bench_noop" }

const noopQueue = "bench"

func (a noopArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: noopQueue} }

// noopContract is what a worker process asks of every kind.
var noopContract = jobs.Contract{
	Kind: noopArgs{}.Kind(), Queue: noopQueue, Timeout: time.Minute, MaxAttempts: river.MaxAttemptsDefault,
	Retry:     jobs.Retry{First: time.Second, Max: time.Minute},
	Retention: jobs.Retention{Completed: time.Hour, Failed: time.Hour},
	Harmless:  "it does nothing",
}

// noopWorker counts the jobs it was given.
type noopWorker struct {
	river.WorkerDefaults[noopArgs]
	worked *atomic.Int64
}

func (w *noopWorker) Work(context.Context, *river.Job[noopArgs]) error {
	w.worked.Add(1)
	return nil
}

func insertNoops(ctx context.Context, db *Database, n int) error {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	for first := 1; first <= n; first += copyPerTx {
		args := make([]noopArgs, 0, copyPerTx)
		for num := first; num <= min(n, first+copyPerTx-1); num++ {
			args = append(args, noopArgs{num})
		}
		if _, err := inserter.InsertManyFast(ctx, jobs.Many(args)); err != nil {
			return fmt.Errorf("insert no-op jobs: %w", err)
		}
	}
	return nil
}

// newClient makes a client that works no-op jobs.
type newClient func(pool *pgxpool.Pool, workers *river.Workers) (*river.Client[pgx.Tx], error)

const noopWorkers = 1_000

// newNoopWorker is the client as `backoffice worker --log-level warn` builds it.
func newNoopWorker(pool *pgxpool.Pool, workers *river.Workers) (*river.Client[pgx.Tx], error) {
	return queue.NewWorker(pool, queue.WorkerConfig{
		ClientID: "bench", Queues: map[string]int{noopQueue: noopWorkers}, Workers: workers, Contracts: []jobs.Contract{noopContract},
		SoftStop: closeLimit, RescueAfter: time.Hour, Tally: &queue.Tally{},
		Log: slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// newStockWorker is River as its own benchmark configures it.
func newStockWorker(maxWorkers int) newClient {
	return func(pool *pgxpool.Pool, workers *river.Workers) (*river.Client[pgx.Tx], error) {
		return river.NewClient(riverpgxv5.New(pool), &river.Config{
			FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
			Queues:  map[string]river.QueueConfig{noopQueue: {MaxWorkers: maxWorkers}},
			Workers: workers,
			Logger:  slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
	}
}

// drains measures from the first fetch to the moment at which all n jobs are seen completed. River's
// finalized_at would flatter: it is taken before the outcome is written.
func drains(n int, build newClient) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (figures Figures, err error) {
		worker := &noopWorker{worked: &atomic.Int64{}}
		workers := river.NewWorkers()
		river.AddWorker(workers, worker)
		client, err := build(db.Pool, workers)
		if err != nil {
			return nil, err
		}
		if err := client.Start(ctx); err != nil {
			return nil, fmt.Errorf("start the client: %w", err)
		}
		drained, waited := awaitDrained(ctx, db, n, worker.worked)
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		if err := errors.Join(waited, client.StopAndCancel(stopping)); err != nil {
			return nil, err
		}
		began, err := checkDrained(ctx, db, n)
		if err != nil {
			return nil, err
		}
		return Figures{"jobs/s": float64(n) / drained.Sub(began).Seconds()}, nil
	}
}

const (
	drainPoll  = 2 * time.Millisecond
	drainLimit = 3 * time.Minute
)

// The server's clock, by which attempted_at is written too.
const noopsLeftSQL = `
select /* bench.awaitDrained */ exists (select from river_job where state in ('available', 'running', 'retryable', 'scheduled', 'pending')), clock_timestamp()`

// awaitDrained waits until all jobs were worked, and then until the last outcome is written.
func awaitDrained(ctx context.Context, db *Database, n int, worked *atomic.Int64) (time.Time, error) {
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	giveUp := time.After(drainLimit)
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-giveUp:
			return time.Time{}, fmt.Errorf("only %d of %d jobs were worked within %s", worked.Load(), n, drainLimit)
		case <-poll.C:
		}
		if worked.Load() < int64(n) {
			continue
		}
		var left bool
		var now time.Time
		if err := db.Pool.QueryRow(ctx, noopsLeftSQL).Scan(&left, &now); err != nil {
			return time.Time{}, fmt.Errorf("look for unfinished jobs: %w", err)
		}
		if !left {
			return now, nil
		}
	}
}

const drainedSQL = `
select /* bench.checkDrained */ count(*), count(*) filter (where state = 'completed' and attempt = 1 and finalized_at is not null), min(attempted_at)
  from river_job`

// checkDrained wants every job completed at its first attempt, and answers when the first was taken.
func checkDrained(ctx context.Context, db *Database, n int) (began time.Time, err error) {
	var all, completed int
	if err := db.Pool.QueryRow(ctx, drainedSQL).Scan(&all, &completed, &began); err != nil {
		return began, fmt.Errorf("count completed jobs: %w", err)
	}
	if all != n || completed != n {
		return began, fmt.Errorf("%d of %d jobs were completed at the first attempt, and not %d", completed, all, n)
	}
	return began, nil
}
