package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/periodic"
	"backoffice/workers"
)

// drain says when a worker process ends by itself.
type drain int

const (
	drainNever drain = iota
	drainDue         // nothing is due or running here
	drainEmpty       // no unfinished job is left anywhere
)

// workerSettings is what the flags of worker say, checked.
type workerSettings struct {
	clientID    string
	queues      map[string]int
	poolSize    int
	softStop    time.Duration
	hardStop    time.Duration
	rescueAfter time.Duration
	drain       drain
}

// poolNeeded is how many connections may be in use at once.
func (s workerSettings) poolNeeded() int {
	needed := sparePool
	for _, workers := range s.queues {
		needed += workers
	}
	return needed
}

// poolOptions name the connections after the process, so that whoever finds it dead can end them.
func (s workerSettings) poolOptions() postgres.Options {
	return postgres.Options{ApplicationName: s.clientID, MaxConns: int32(s.poolSize), Settings: queue.SessionSettings()}
}

// queueFlags writes the queues as the flags that would name them.
func (s workerSettings) queueFlags() string {
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		flags = append(flags, fmt.Sprintf("--queue %s=%d", name, s.queues[name]))
	}
	return strings.Join(flags, ", ")
}

// checkServer refuses a pool that the server could never fill.
func (s workerSettings) checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	limit, err := queue.ConnectionLimit(ctx, pool)
	if err != nil {
		return err
	}
	if s.poolSize > limit {
		return fmt.Errorf("--pool-size %d exceeds the %d connections the server grants (max_connections less the reserved); lower the queues' workers or raise max_connections", s.poolSize, limit)
	}
	return nil
}

// newClientID names a worker process: host, process id and a random part, at most 40 ASCII bytes.
func newClientID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	host = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return '-'
	}, host)
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails; see crypto/rand
	return fmt.Sprintf("%.20s-%d-%s", host, os.Getpid(), hex.EncodeToString(random[:]))
}

// workerProcess is one worker process: River's client, the timetable and the deletion of finished jobs.
type workerProcess struct {
	workerSettings
	pool       *pgxpool.Pool
	client     *river.Client[pgx.Tx]
	config     queue.WorkerConfig
	dispatcher *periodic.Dispatcher
	tally      *queue.Tally
	log        *slog.Logger
}

func newWorkerProcess(ctx context.Context, pool *pgxpool.Pool, s workerSettings, log *slog.Logger) (*workerProcess, error) {
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		return nil, err
	}
	registered, err := workers.Register(workers.Deps{Pool: pool, Jobs: inserter, Now: time.Now})
	if err != nil {
		return nil, err
	}
	p := &workerProcess{workerSettings: s, pool: pool, tally: &queue.Tally{}, log: log}
	p.config = queue.WorkerConfig{
		ClientID: s.clientID, Queues: s.queues, Workers: registered, Contracts: workers.Contracts(),
		SoftStop: s.softStop, RescueAfter: s.rescueAfter, Tally: p.tally, Log: log,
	}
	if p.client, err = queue.NewWorker(pool, p.config); err != nil {
		return nil, err
	}
	p.dispatcher = &periodic.Dispatcher{Pool: pool, Jobs: inserter, Decode: workers.Decode, Now: time.Now, Log: log}
	return p, periodic.Sync(ctx, pool, periodic.BuiltIn(), time.Now())
}

// run works until ctx ends or, when told to drain, until nothing is left, and answers what is left.
func (p *workerProcess) run(ctx context.Context) (queue.Backlog, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := p.client.Start(ctx); err != nil {
		return queue.Backlog{}, fmt.Errorf("start worker %s: %w", p.clientID, err)
	}
	p.log.InfoContext(ctx, "worker started", "client_id", p.clientID, "queues", p.queues, "version", version(), "pool_size", p.poolSize)
	var background sync.WaitGroup
	background.Go(func() { p.deleteFinished(ctx) })
	if p.drain == drainNever { // a run that is to end adds no work of its own
		background.Go(func() { p.dispatcher.Run(ctx) })
	}
	drained := p.waitDrained(ctx)
	p.log.InfoContext(ctx, "worker stopping", "client_id", p.clientID)
	stop()
	background.Wait()
	if err := p.awaitStop(); err != nil {
		return queue.Backlog{}, err
	}
	p.log.InfoContext(ctx, "worker stopped", "client_id", p.clientID,
		"completed", p.tally.Completed.Load(), "cancelled", p.tally.Cancelled.Load(), "failed_attempts", p.tally.Failed.Load())
	if drained != nil || p.drain == drainNever {
		return queue.Backlog{}, drained
	}
	return queue.Unfinished(context.WithoutCancel(ctx), p.pool, p.config)
}

// awaitStop waits for the client to end; a job that ignores its context cannot hold the process.
func (p *workerProcess) awaitStop() error {
	select {
	case <-p.client.Stopped():
		return nil
	case <-time.After(p.softStop + p.hardStop):
		return fmt.Errorf("jobs ignored their cancellation for --hard-stop %s; exiting without them, their attempts will be taken back", p.hardStop)
	}
}

const (
	drainPoll      = 100 * time.Millisecond
	retentionEvery = time.Minute
)

// waitDrained returns when ctx ends or nothing is left of what drain asks for.
func (p *workerProcess) waitDrained(ctx context.Context) error {
	if p.drain == drainNever {
		<-ctx.Done()
		return nil
	}
	for {
		done, err := p.isDrained(ctx)
		if ctx.Err() != nil || done {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(drainPoll):
		}
	}
}

func (p *workerProcess) isDrained(ctx context.Context) (bool, error) {
	idle, err := queue.Idle(ctx, p.pool, p.config)
	if err != nil || !idle || p.drain == drainDue {
		return idle, err
	}
	left, err := queue.Unfinished(ctx, p.pool, p.config)
	return left.Available+left.RunningHere+left.Elsewhere+left.Scheduled+left.Retryable == 0, err
}

// deleteFinished deletes jobs past their retention, every minute until ctx ends.
func (p *workerProcess) deleteFinished(ctx context.Context) {
	for {
		deleted, err := queue.DeleteFinished(ctx, p.pool, p.config.Contracts)
		switch {
		case err != nil && !errors.Is(ctx.Err(), context.Canceled):
			p.log.ErrorContext(ctx, "finished jobs not deleted", "error", err)
		case deleted > 0:
			p.log.InfoContext(ctx, "finished jobs deleted", "count", deleted)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retentionEvery):
		}
	}
}
