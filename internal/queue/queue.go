// Package queue is the only place that builds a River client: the inserter that never works a job,
// the client of a worker process, and what keeps a job's outcome honest. InJobTx (the fence) commits
// effects and final state together or not at all; the pilot drops outcomes of attempts that are no
// longer ours. What a job does lives in workers and the domain packages.
package queue

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"backoffice/jobs"
)

const (
	// fetchCooldown is the least time between two fetches and, on the inserting side, between two
	// notifications. River's default of 100 ms would cap a queue at MaxWorkers per 100 ms and
	// hide a second insert from an idle worker until the next poll.
	fetchCooldown = 2 * time.Millisecond
	// fetchPollInterval finds what no notification announced.
	fetchPollInterval = time.Second
	// ordersPollInterval is that of the queue somebody waits for. River sends no notification for a
	// job inserted within fetchCooldown of another and committed later: that one waits for the poll.
	ordersPollInterval = 250 * time.Millisecond
	// keepForever stops River from deleting finished jobs by one retention for all kinds; see
	// DeleteFinished.
	keepForever = -1
)

// NewInserter returns a client that enqueues, cancels, retries and lists jobs and never works one. It
// must not be started. It accepts kinds this build does not know; callers check args by contract.
func NewInserter(pool *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		FetchCooldown:       fetchCooldown,
		Logger:              slog.New(slog.DiscardHandler),
		SkipUnknownJobCheck: true,
	})
	if err != nil {
		return nil, fmt.Errorf("build inserting client: %w", err)
	}
	return client, nil
}

// WorkerConfig says what one worker process works.
type WorkerConfig struct {
	ClientID    string          // unique per process, at most 40 ASCII bytes; stands in river_job.attempted_by
	Queues      map[string]int  // queue name to the number of jobs worked at once
	Workers     *river.Workers  // every kind of this build
	Contracts   []jobs.Contract // of the same kinds
	SoftStop    time.Duration   // how long running jobs may finish after a stop is asked
	RescueAfter time.Duration   // a job running longer than this is taken back; above every kind's timeout
	Tally       *Tally          // counts outcomes; may be nil
	Log         *slog.Logger
}

// NewWorker returns the client of a worker process, without the heartbeat and the reaper of a Process. It
// fetches only kinds it knows, so that old and new builds share a queue during a deploy.
func NewWorker(pool *pgxpool.Pool, cfg WorkerConfig) (*river.Client[pgx.Tx], error) {
	return newWorker(pool, cfg, &gate{}, false)
}

func newWorker(pool *pgxpool.Pool, cfg WorkerConfig, gate *gate, pollOnly bool) (*river.Client[pgx.Tx], error) {
	longest := LongestTimeout(cfg.Contracts)
	if cfg.RescueAfter <= longest {
		return nil, fmt.Errorf("--rescue-after %s must exceed the longest timeout of a kind (%s); raise it", cfg.RescueAfter, longest)
	}
	queues := make(map[string]river.QueueConfig, len(cfg.Queues))
	for name, workers := range cfg.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: workers}
		if name == jobs.QueueOrders {
			queues[name] = river.QueueConfig{MaxWorkers: workers, FetchPollInterval: ordersPollInterval}
		}
	}
	client, err := river.NewClient[pgx.Tx](newFencedDriver(pool, cfg.Log, gate), &river.Config{
		ID:                          cfg.ClientID,
		Queues:                      queues,
		Workers:                     cfg.Workers,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           fetchPollInterval,
		FetchOnlyKnownKinds:         true,
		PollOnly:                    pollOnly,
		JobTimeout:                  longest, // each kind sets its own; River rescues by the larger of the two
		RescueStuckJobsAfter:        cfg.RescueAfter,
		RetryPolicy:                 retryPolicy(cfg.Contracts),
		SoftStopTimeout:             cfg.SoftStop,
		CompletedJobRetentionPeriod: keepForever,
		CancelledJobRetentionPeriod: keepForever,
		DiscardedJobRetentionPeriod: keepForever,
		Logger:                      slog.New(Warnings(cfg.Log.Handler())), // below that River repeats each outcome
		Middleware:                  []rivertype.Middleware{&outcomeLog{log: cfg.Log, tally: cmp.Or(cfg.Tally, &Tally{})}, &attemptToken{}},
	})
	if err != nil {
		return nil, fmt.Errorf("build worker client: %w", err)
	}
	return client, nil
}

// LongestTimeout is the longest time one attempt of any of the kinds may run.
func LongestTimeout(contracts []jobs.Contract) time.Duration {
	longest := slices.MaxFunc(contracts, func(a, b jobs.Contract) int { return int(a.Timeout - b.Timeout) })
	return longest.Timeout
}
