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

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/internal/telemetry"
	"backoffice/migrations"
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
	group       queue.GroupConfig
	poolSize    int
	softStop    time.Duration
	hardStop    time.Duration
	rescueAfter time.Duration
	drain       drain

	liveness        queue.Liveness
	pollOnly        bool
	maxCrashRescues int
	healthAddr      string
	timezone        string // of the built-in timetable

	artifactRetention time.Duration
}

// poolNeeded is how many connections may be in use at once.
func (s workerSettings) poolNeeded() int {
	needed := sparePool
	for name, workers := range s.queues {
		needed += s.connections(name, workers)
	}
	return needed
}

// connections is how many of them the jobs of a queue may use at once.
func (s workerSettings) connections(queue string, workers int) int {
	if groupedQueues[queue] {
		return min(workers, s.group.Committers)
	}
	return workers * max(connectionsPerJob[queue], 1)
}

// poolOptions name the connections after the process, so that whoever finds it dead can end them.
func (s workerSettings) poolOptions() postgres.Options {
	options := postgres.Options{ApplicationName: s.clientID, MaxConns: int32(s.poolSize)}
	if !s.pollOnly { // a pooler in transaction mode refuses settings of a session
		options.Settings = queue.SessionSettings()
	}
	return options
}

// poolFlags writes the flags that the size of the pool follows from.
func (s workerSettings) poolFlags() string {
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		workers := s.queues[name]
		switch each := connectionsPerJob[name]; {
		case s.connections(name, workers) == workers:
			flags = append(flags, fmt.Sprintf("--queue %s=%d", name, workers))
		case each > 1:
			flags = append(flags, fmt.Sprintf("--queue %s=%d with %d each", name, workers, each))
		default:
			flags = append(flags, fmt.Sprintf("--committers %d for %s", s.group.Committers, name))
		}
	}
	return strings.Join(flags, ", ")
}

// checkServer refuses a pool that the server could never fill.
func (s workerSettings) checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	limit, err := queue.ConnectionLimit(ctx, pool)
	if err != nil {
		return err
	}
	if s.poolSize >= limit { // the heartbeat has a connection of its own
		return fmt.Errorf("--pool-size %d, plus 1 for the heartbeat, exceeds the %d connections the server grants (max_connections less the reserved); lower --committers or the queues' workers, or raise max_connections", s.poolSize, limit)
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

// workerProcess is one worker process: the jobs, the timetable and the deletion of finished jobs.
type workerProcess struct {
	*queue.Process
	workerSettings
	pool   *pgxpool.Pool
	config queue.WorkerConfig
	log    *slog.Logger
}

func newWorkerProcess(ctx context.Context, pool *pgxpool.Pool, stores *store.Stores, s workerSettings, log *slog.Logger) (*workerProcess, error) {
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		return nil, err
	}
	registered, err := workers.Register(workers.Deps{
		Pool: pool, Jobs: inserter, Now: time.Now, Group: s.group,
		Stores: stores, Reports: report.Settings{Retention: s.artifactRetention}, Log: log,
	})
	if err != nil {
		return nil, err
	}
	p := &workerProcess{workerSettings: s, pool: pool, log: log}
	p.config = queue.WorkerConfig{
		ClientID: s.clientID, Queues: s.queues, Workers: registered, Contracts: workers.Contracts(),
		SoftStop: s.softStop, RescueAfter: s.rescueAfter, Tally: &queue.Tally{}, Log: log,
	}
	background := []func(context.Context){p.deleteFinished}
	listen := map[string]func(){}
	if s.drain == drainNever { // a run that is to end adds no work of its own
		timetable := &periodic.Dispatcher{Pool: pool, Jobs: inserter, Decode: workers.Decode, Log: log}
		background = append(background, timetable.Run)
		if !s.pollOnly {
			timetable.Wake, listen[periodic.Channel] = wakeSignal()
		}
	}
	p.Process, err = queue.NewProcess(pool, queue.ProcessConfig{
		WorkerConfig: p.config, Version: version(), Liveness: s.liveness, PollOnly: s.pollOnly,
		MaxCrashRescues: s.maxCrashRescues, HardStop: s.hardStop, Listen: listen, Background: background,
	})
	if err != nil {
		return nil, err
	}
	return p, periodic.Sync(ctx, pool, periodic.BuiltIn(s.timezone), log)
}

// wakeSignal answers a channel and what sends on it: however often it is called, one signal waits at most.
func wakeSignal() (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	return wake, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// serveHealth answers for the process on --health-addr, also while it stops, until the function it
// returns is called.
func (p *workerProcess) serveHealth(ctx context.Context) (stop func(), err error) {
	if p.healthAddr == "" {
		return func() {}, nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	addr, done, err := telemetry.Serve(ctx, p.healthAddr, &telemetry.Health{Live: p.Live, Ready: p.ready}, p.log)
	if err != nil {
		cancel()
		return nil, err
	}
	p.log.InfoContext(ctx, "health served", "address", addr)
	return func() {
		cancel()
		if err := <-done; err != nil {
			p.log.WarnContext(ctx, "health not served to the end", "error", err)
		}
	}, nil
}

// ready answers nil while the process can work: what Process says, and the schema of this build.
func (p *workerProcess) ready(ctx context.Context) error {
	if err := p.Ready(ctx); err != nil {
		return err
	}
	return migrations.Check(ctx, p.pool)
}

// run works until ctx ends or, when told to drain, until nothing is left, and answers what is left.
func (p *workerProcess) run(ctx context.Context) (queue.Backlog, error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	var drained error
	var waiting sync.WaitGroup
	if p.drain != drainNever {
		waiting.Go(func() {
			drained = p.waitDrained(working)
			stop()
		})
	}
	err := p.Run(working)
	stop()
	waiting.Wait()
	if err != nil || drained != nil || p.drain == drainNever {
		return queue.Backlog{}, errors.Join(err, drained)
	}
	return queue.Unfinished(context.WithoutCancel(ctx), p.pool, p.config)
}

const (
	drainPoll      = 100 * time.Millisecond
	retentionEvery = time.Minute
)

// waitDrained returns when ctx ends or nothing is left of what drain asks for.
func (p *workerProcess) waitDrained(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(drainPoll):
		}
		if !p.Started() { // a process that is stopped before it has begun has failed to begin
			continue
		}
		done, err := p.isDrained(ctx)
		switch {
		case ctx.Err() != nil || done:
			return nil
		case err != nil:
			return err
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
