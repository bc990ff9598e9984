package queue

import (
	"cmp"
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

	// Listen are called, by the channel's name, when a notification comes in on the heartbeat's connection;
	// they must not block. With PollOnly, and while that connection is lost, none comes in.
	Listen map[string]func()

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

	registered atomic.Bool // its heartbeat has begun
	started    atomic.Bool // it takes jobs
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

// ErrJobsLeft means that River did not stop in time, mostly because jobs ignored their cancellation; the
// reapers of other processes take them back. The caller ends the program.
var ErrJobsLeft = errors.New("jobs left running")

// Run works until ctx ends, then stops softly and answers nil: running jobs finish within SoftStop, the
// others are cancelled and their attempts given back. It answers early, and with the reason, when the
// process must end: ErrDeclaredDead, ErrLifeUnproven or ErrReadOnly, after cancelling its jobs. With
// ErrJobsLeft among the errors the pool is still in use.
func (p *Process) Run(ctx context.Context) error {
	log, tally := p.cfg.Log, p.cfg.Tally
	if err := p.heartbeat.register(ctx); err != nil {
		p.heartbeat.disconnect()
		return err
	}
	p.registered.Store(true)
	// The life of the process is longer than ctx: it goes on to beat and to reap while jobs finish.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var alive sync.WaitGroup
	died := make(chan error, 1)
	alive.Go(func() { died <- p.heartbeat.run(life) })
	alive.Go(func() { p.reaper.run(life) })

	cause, err := p.start(ctx, life, died)
	if p.started.Load() {
		log.InfoContext(ctx, "worker started", p.identity()...)
		cause = p.work(ctx, died)
	}
	p.heartbeat.stops.Store(true)
	attrs := append(p.identity(), "in_flight", tally.Running.Load())
	if cause != nil {
		attrs = append(attrs, "cause", cause)
	}
	log.InfoContext(ctx, "worker stopping", attrs...)
	if p.started.Load() {
		var late error
		late, err = p.stopClient(cause, died)
		cause = cmp.Or(cause, late)
	}
	end()
	alive.Wait()
	cause = p.lastWord(cause)
	if err == nil && cause == nil {
		p.signOff()
	}
	log.InfoContext(ctx, "worker stopped", append(p.identity(), "in_flight", tally.Running.Load(), "completed", tally.Completed.Load(),
		"cancelled", tally.Cancelled.Load(), "failed_attempts", tally.Failed.Load(), "interrupted", tally.Interrupted.Load())...)
	if cause != nil {
		cause = fmt.Errorf("worker process %s: %w", p.cfg.ClientID, cause)
	}
	return errors.Join(cause, err)
}

// identity is what the three lines of a process's life have in common.
func (p *Process) identity() []any {
	return []any{"client_id", p.cfg.ClientID, "queues", p.cfg.Queues, "version", p.cfg.Version}
}

// start starts the client, unless ctx ends or the process dies first: River waits for the database
// without limit.
func (p *Process) start(ctx, life context.Context, died <-chan error) (cause, err error) {
	starting, giveUp := context.WithCancel(life)
	tried := make(chan error, 1)
	go func() { tried <- p.client.Start(starting) }()
	select {
	case err := <-tried:
		if err != nil {
			giveUp()
			return nil, fmt.Errorf("start worker %s: %w", p.cfg.ClientID, err)
		}
		p.started.Store(true)
		context.AfterFunc(life, giveUp) // the client lives on this context; it is stopped by Stop
		return nil, nil
	case <-ctx.Done():
	case cause = <-died:
	}
	giveUp()
	select { // it may have started in this very moment
	case err := <-tried:
		if err == nil {
			<-p.client.Stopped()
		}
	case <-time.After(p.cfg.HardStop):
	}
	return cause, nil
}

// work runs the background until ctx ends, or the process must end, and answers why.
func (p *Process) work(ctx context.Context, died <-chan error) (cause error) {
	working, idle := context.WithCancel(ctx)
	var background sync.WaitGroup
	for _, run := range p.cfg.Background {
		background.Go(func() { run(working) })
	}
	select {
	case <-ctx.Done():
	case cause = <-died:
	}
	idle()
	background.Wait()
	return cause
}

// lastWord says why the process ended: whoever froze for long finds that it was declared dead meanwhile.
func (p *Process) lastWord(cause error) error {
	if errors.Is(cause, ErrLifeUnproven) {
		if dead, err := p.heartbeat.declaredDead(context.Background()); err == nil && dead {
			return ErrDeclaredDead
		}
	}
	return cause
}

// stopClient ends the client: softly, or at once when the process must not go on. It answers the cause
// that makes it so while jobs still finish.
func (p *Process) stopClient(cause error, died <-chan error) (late, err error) {
	if cause == nil {
		ctx, cancel := context.WithTimeout(context.Background(), p.cfg.SoftStop+p.cfg.HardStop)
		defer cancel()
		stopped := make(chan error, 1)
		go func() { stopped <- p.client.Stop(ctx) }()
		select {
		case err := <-stopped:
			return nil, p.stopError(err, p.cfg.SoftStop+p.cfg.HardStop)
		case late = <-died:
			p.cfg.Log.WarnContext(ctx, "soft stop cut short", "client_id", p.cfg.ClientID, "cause", late)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.HardStop)
	defer cancel()
	return late, p.stopError(p.client.StopAndCancel(ctx), p.cfg.HardStop)
}

// stopError words a client that did not stop in time.
func (p *Process) stopError(err error, within time.Duration) error {
	running := p.cfg.Tally.Running.Load()
	switch {
	case err == nil:
		return nil
	case running == 0:
		return fmt.Errorf("%w: River did not stop within %s, though no job runs; does Postgres answer?", ErrJobsLeft, within)
	}
	return fmt.Errorf("%w: %d jobs ignored their cancellation for %s; others take them back", ErrJobsLeft, running, p.cfg.HardStop)
}

const signOffSQL = `
delete /* queue.signOff */ from worker_processes
 where client_id = $1
   and declared_dead_at is null
   and not exists (
         select from river_job
          where state = 'running'
            and attempted_by[array_upper(attempted_by, 1)] = $1)`

// signOff removes the row of a process that leaves nothing behind. If something is left after all, or the
// database is away, the row stays, for the reapers to find: the process has ended well all the same.
func (p *Process) signOff() {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWithin)
	defer cancel()
	if _, err := p.pool.Exec(ctx, signOffSQL, p.cfg.ClientID); err != nil {
		p.cfg.Log.WarnContext(ctx, "worker process not signed off", "client_id", p.cfg.ClientID, "error", err)
	}
}

// Live answers nil while the process's own heartbeat is younger than the limit, or it has none yet.
func (p *Process) Live() error {
	if !p.registered.Load() {
		return nil
	}
	if age := p.heartbeat.age(); age > p.cfg.Liveness.DeadAfter {
		return fmt.Errorf("the last heartbeat was %s ago", age.Round(time.Second))
	}
	return nil
}

// Started says whether Run has come to take jobs; it stays true.
func (p *Process) Started() bool { return p.started.Load() }

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
	return p.heartbeat.writable(ctx)
}

// Tally is what the process has done so far.
func (p *Process) Tally() *Tally { return p.cfg.Tally }
