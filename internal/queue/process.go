package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
)

// ProcessConfig says what a worker process works and how it lives.
type ProcessConfig struct {
	WorkerConfig
	Version         string        // of the program, shown to people
	Liveness        Liveness      // the same for all processes of a database
	PollOnly        bool          // no LISTEN and no session lock: for a pooler in transaction mode
	MaxCrashRescues int           // a job that was running in this many dying processes is discarded
	HardStop        time.Duration // how long cancelled jobs may take to return before the process ends without them

	// Background runs beside the jobs from start to stop, such as the timetable. Each returns when its
	// context ends.
	Background []func(context.Context)
}

func (c ProcessConfig) queueNames() []string { return slices.Sorted(maps.Keys(c.Queues)) }

// Process is one worker process: River's client, the heartbeat by which others see that it lives, and the
// reaper by which it takes back the jobs of those that do not.
type Process struct {
	cfg       ProcessConfig
	pool      *pgxpool.Pool
	client    *river.Client[pgx.Tx]
	heartbeat *heartbeat
	reaper    *reaper
	started   atomic.Bool
}

// NewProcess builds a worker process on pool; Run starts it.
func NewProcess(pool *pgxpool.Pool, cfg ProcessConfig) (*Process, error) {
	gate := &gate{}
	if cfg.Tally == nil {
		cfg.Tally = &Tally{}
	}
	client, err := newWorker(pool, cfg.WorkerConfig, gate, cfg.PollOnly)
	if err != nil {
		return nil, err
	}
	reaper := newReaper(cfg, pool, cfg.Log)
	return &Process{
		cfg: cfg, pool: pool, client: client, reaper: reaper,
		heartbeat: &heartbeat{cfg: cfg, pool: pool, gate: gate, log: cfg.Log, reap: reaper},
	}, nil
}

// ErrJobsLeft means that jobs ignored their cancellation and were left running; the reapers of other
// processes take them back. The caller ends the program.
var ErrJobsLeft = errors.New("jobs left running")

// Run works until ctx ends, then stops softly and answers nil: running jobs finish within SoftStop, the
// others are cancelled and their attempts given back. It answers early, and with the reason, when the
// process must end: ErrDeclaredDead, ErrLifeUnproven or ErrReadOnly, after cancelling its jobs. With
// ErrJobsLeft among the errors the pool is still in use.
func (p *Process) Run(ctx context.Context) error {
	log, tally := p.cfg.Log, p.cfg.Tally
	if err := p.heartbeat.register(ctx); err != nil {
		return err
	}
	// The life of the process is longer than ctx: it goes on to beat and to reap while jobs finish.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var alive sync.WaitGroup
	died := make(chan error, 1)
	alive.Go(func() { died <- p.heartbeat.run(life) })
	alive.Go(func() { p.reaper.run(life) })

	if err := p.client.Start(life); err != nil {
		end()
		alive.Wait()
		return errors.Join(fmt.Errorf("start worker %s: %w", p.cfg.ClientID, err), p.signOff())
	}
	p.started.Store(true)
	log.InfoContext(ctx, "worker started", "client_id", p.cfg.ClientID, "queues", p.cfg.Queues, "version", p.cfg.Version)

	working, idle := context.WithCancel(ctx)
	defer idle()
	var background sync.WaitGroup
	for _, run := range p.cfg.Background {
		background.Go(func() { run(working) })
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-died:
		cause = fmt.Errorf("worker process %s: %w", p.cfg.ClientID, cause)
	}
	p.heartbeat.stops.Store(true)
	attrs := []any{"client_id", p.cfg.ClientID, "queues", p.cfg.Queues, "version", p.cfg.Version, "in_flight", tally.Running.Load()}
	if cause != nil {
		attrs = append(attrs, "cause", cause)
	}
	log.InfoContext(ctx, "worker stopping", attrs...)
	idle()
	background.Wait()
	err := p.stopClient(cause != nil)
	end()
	alive.Wait()
	if err == nil && cause == nil {
		err = p.signOff()
	}
	log.InfoContext(ctx, "worker stopped", "client_id", p.cfg.ClientID, "queues", p.cfg.Queues, "version", p.cfg.Version,
		"in_flight", tally.Running.Load(), "completed", tally.Completed.Load(), "cancelled", tally.Cancelled.Load(),
		"failed_attempts", tally.Failed.Load(), "interrupted", tally.Interrupted.Load())
	return errors.Join(cause, err)
}

// stopClient ends the client: softly, or at once for a process that must not go on.
func (p *Process) stopClient(atOnce bool) error {
	within := p.cfg.SoftStop + p.cfg.HardStop
	stop := p.client.Stop
	if atOnce {
		within = p.cfg.HardStop
		stop = p.client.StopAndCancel
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := stop(ctx); err != nil {
		return fmt.Errorf("%w: %d jobs ignored their cancellation for %s; others take them back", ErrJobsLeft, p.cfg.Tally.Running.Load(), p.cfg.HardStop)
	}
	return nil
}

const signOffSQL = `
delete /* queue.signOff */ from worker_processes
 where client_id = $1
   and not exists (
         select from river_job
          where state = 'running'
            and attempted_by[array_upper(attempted_by, 1)] = $1)`

// signOff removes the row of a process that leaves nothing behind. If something is left after all, the
// row stays, for the reapers to find.
func (p *Process) signOff() error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWithin)
	defer cancel()
	if _, err := p.pool.Exec(ctx, signOffSQL, p.cfg.ClientID); err != nil {
		return fmt.Errorf("sign worker process %s off: %w", p.cfg.ClientID, err)
	}
	return nil
}

// Live answers nil while the process's own heartbeat is younger than the limit.
func (p *Process) Live() error {
	if !p.started.Load() {
		return nil // starting is no reason to be killed
	}
	if age := p.heartbeat.age(); age > p.cfg.Liveness.DeadAfter {
		return fmt.Errorf("the last heartbeat was %s ago", age.Round(time.Second))
	}
	return nil
}

// Ready answers nil while the process takes jobs: started, not stopping, its heartbeat fresh and its
// Postgres writable. It does not check the schema.
func (p *Process) Ready(ctx context.Context) error {
	switch {
	case !p.started.Load():
		return errors.New("starting")
	case p.heartbeat.stops.Load():
		return errors.New("stopping")
	case !p.heartbeat.gate.isOpen():
		return errors.New("the heartbeat is lost; fetching has stopped")
	}
	if err := p.Live(); err != nil {
		return err
	}
	return p.heartbeat.probePool(ctx)
}

// Tally is what the process has done so far.
func (p *Process) Tally() *Tally { return p.cfg.Tally }
