package queue_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// This file is the worker process of the fault tests: the test binary, started again as a program of
// its own, so that it can be killed, frozen and woken like one.

// faultArgs is a kind that does to its process what a test tells it to.
type faultArgs struct {
	Do    string        `json:"do"`    // one of the outcomes below
	Until string        `json:"until"` // what it waits for first: "", released, thawed, stopped
	For   time.Duration `json:"for"`   // how long it waits after that
	Group bool          `json:"group"` // its effect shares a transaction with those of others
	InTx  bool          `json:"in_tx"` // it waits inside the transaction of its effect
	Deaf  bool          `json:"deaf"`  // it ignores its context
}

// What a fault job does when it has waited.
const (
	doNothing = ""       // returns nil: River writes the outcome
	doFail    = "fail"   // returns an error: River writes the outcome
	doEffect  = "effect" // a row of fault_effects and its own completion in one commit
	doDie     = "die"    // kills its process, with Group in the midst of a transaction
)

// What a fault job waits for.
const (
	untilReleased = "released" // SIGUSR1
	untilThawed   = "thawed"   // SIGCONT
	untilStopped  = "stopped"  // the end of its context
)

func (faultArgs) Kind() string                   { return "fault" }
func (faultArgs) Validate() error                { return nil }
func (faultArgs) Contract() jobs.Contract        { return faultContract("fault") }
func (a faultArgs) InsertOpts() river.InsertOpts { return a.Contract().InsertOpts() }

// strangerArgs is a kind that old builds do not know.
type strangerArgs struct{}

func (strangerArgs) Kind() string                   { return "stranger" }
func (strangerArgs) Validate() error                { return nil }
func (strangerArgs) Contract() jobs.Contract        { return faultContract("stranger") }
func (a strangerArgs) InsertOpts() river.InsertOpts { return a.Contract().InsertOpts() }

func faultContract(kind string) jobs.Contract {
	return jobs.Contract{
		Kind: kind, Queue: "faults", Timeout: 5 * time.Minute, MaxAttempts: 4,
		Retry:     jobs.Retry{First: 100 * time.Millisecond, Max: time.Second},
		Retention: jobs.Retention{Completed: time.Hour, Failed: time.Hour},
		Harmless:  "it writes to a test's own table",
	}
}

const faultEffectsSQL = `create table fault_effects (job_id bigint not null, client_id text not null)`

// faultWorker works fault jobs in whichever process has it.
type faultWorker struct {
	river.WorkerDefaults[faultArgs]
	pool     *pgxpool.Pool
	clientID string
	group    *queue.Group[*river.Job[faultArgs]]
	released chan struct{}
	thawed   chan struct{}
}

func newFaultWorker(pool *pgxpool.Pool, clientID string) *faultWorker {
	w := &faultWorker{pool: pool, clientID: clientID, released: make(chan struct{}), thawed: make(chan struct{})}
	w.group = queue.NewGroup(pool, queue.DefaultGroup(), w.together)
	return w
}

func (w *faultWorker) Work(ctx context.Context, job *river.Job[faultArgs]) error {
	if job.Args.Do == doEffect || job.Args.Group {
		return w.effect(ctx, job)
	}
	if err := w.wait(ctx, job.Args); err != nil {
		return err
	}
	switch job.Args.Do {
	case doFail:
		return errors.New("it was told to fail")
	case doDie:
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	default:
		return nil
	}
}

func (w *faultWorker) effect(ctx context.Context, job *river.Job[faultArgs]) error {
	if job.Args.Deaf {
		ctx = context.WithoutCancel(ctx)
	}
	if !job.Args.InTx {
		if err := w.wait(ctx, job.Args); err != nil {
			return err
		}
	}
	if job.Args.Group {
		return w.group.Work(ctx, job.JobRow, job)
	}
	return queue.InJobTx(ctx, w.pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) {
		return queue.Completed(), w.commit(ctx, tx, job)
	})
}

// together is the work of the group.
func (w *faultWorker) together(ctx context.Context, tx *queue.GroupTx, jobs []*river.Job[faultArgs], _ error) ([]queue.Verdict, error) {
	return slices.Repeat([]queue.Verdict{{Outcome: queue.Completed()}}, len(jobs)), w.commit(ctx, tx, jobs...)
}

// commit writes the effects of jobs and waits once, for as long as any of them wants it.
func (w *faultWorker) commit(ctx context.Context, tx pgx.Tx, jobs ...*river.Job[faultArgs]) error {
	var slowest faultArgs
	dies := false
	for _, job := range jobs {
		if _, err := tx.Exec(ctx, `insert into fault_effects values ($1, $2)`, job.ID, w.clientID); err != nil {
			return err
		}
		if job.Args.InTx && (job.Args.Until != "" || job.Args.For > slowest.For) {
			slowest = job.Args
		}
		dies = dies || job.Args.Do == doDie
	}
	if err := w.wait(ctx, slowest); err != nil || !dies {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// wait waits as the args say, or until ctx ends.
func (w *faultWorker) wait(ctx context.Context, args faultArgs) error {
	if args.Deaf {
		ctx = context.WithoutCancel(ctx)
	}
	until := map[string]chan struct{}{untilReleased: w.released, untilThawed: w.thawed, untilStopped: make(chan struct{})}[args.Until]
	if until != nil {
		select {
		case <-until:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-time.After(args.For):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// strangerWorker leaves an effect, so that a test sees where a stranger ran.
type strangerWorker struct {
	river.WorkerDefaults[strangerArgs]
	pool     *pgxpool.Pool
	clientID string
}

func (w *strangerWorker) Work(ctx context.Context, job *river.Job[strangerArgs]) error {
	return queue.InJobTx(ctx, w.pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) {
		_, err := tx.Exec(ctx, `insert into fault_effects values ($1, $2)`, job.ID, w.clientID)
		return queue.Completed(), err
	})
}

// workerEnv holds the faultConfig of the worker process that a program is to be.
const workerEnv = "BACKOFFICE_TEST_WORKER"

// faultConfig says which worker process a program is. Zero fields mean what the worker command ships with.
type faultConfig struct {
	URL      string
	ClientID string
	Queue    string   // faults when empty
	Slots    int      // 8 when zero
	Kinds    []string // both kinds when empty
	PollOnly bool
	Liveness queue.Liveness
	SoftStop time.Duration
	HardStop time.Duration
	MaxConns int32 // 16 when zero
	Released int   // how many jobs return when they are released, before the process freezes itself
}

// runFaultWorker is the program: like the worker command, it stops at the first signal, ends at the
// second, and tells in one line why it failed.
func runFaultWorker(encoded string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	go endWithTest()
	var c faultConfig
	if err := json.Unmarshal([]byte(encoded), &c); err != nil {
		fmt.Fprintln(os.Stderr, "fault worker:", err)
		return 2
	}
	if err := workFaults(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "fault worker:", err)
		return 1
	}
	return 0
}

// endWithTest ends this program with the test that started it, however that ends.
func endWithTest() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}

func workFaults(ctx context.Context, c faultConfig) error {
	pool, err := postgres.Connect(ctx, c.URL, postgres.Options{
		ApplicationName: c.ClientID, MaxConns: cmp.Or(c.MaxConns, 16), Settings: queue.SessionSettings(),
	})
	if err != nil {
		return err
	}
	w := newFaultWorker(pool, c.ClientID)
	config := w.config(c, os.Stderr)
	process, err := queue.NewProcess(pool, config)
	if err != nil {
		return err
	}
	go w.obey(c.Released, process.Tally())
	return process.Run(ctx) // the pool ends with the program: jobs may still use it
}

// config is that of a worker process with the limits that the product ships with, unless c has others.
func (w *faultWorker) config(c faultConfig, logs io.Writer) queue.ProcessConfig {
	registered := river.NewWorkers()
	var known []jobs.Contract
	if len(c.Kinds) == 0 || slices.Contains(c.Kinds, "fault") {
		river.AddWorker(registered, w)
		known = append(known, faultArgs{}.Contract())
	}
	if len(c.Kinds) == 0 || slices.Contains(c.Kinds, "stranger") {
		river.AddWorker(registered, &strangerWorker{pool: w.pool, clientID: c.ClientID})
		known = append(known, strangerArgs{}.Contract())
	}
	return queue.ProcessConfig{
		WorkerConfig: queue.WorkerConfig{
			ClientID: c.ClientID, Queues: map[string]int{cmp.Or(c.Queue, "faults"): cmp.Or(c.Slots, 8)}, Workers: registered, Contracts: known,
			SoftStop: cmp.Or(c.SoftStop, 20*time.Second), RescueAfter: time.Hour, Tally: &queue.Tally{}, Log: slog.New(slog.NewTextHandler(logs, nil)),
		},
		Version: "test", Liveness: cmp.Or(c.Liveness, queue.DefaultLiveness), PollOnly: c.PollOnly, MaxCrashRescues: 3, HardStop: cmp.Or(c.HardStop, 10*time.Second),
	}
}

// obey releases jobs at SIGUSR1 and, once they have returned, freezes the process: their completions
// are in River's buffer then. At SIGCONT it lets go what waits for the thaw.
func (w *faultWorker) obey(released int, tally *queue.Tally) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGCONT)
	var once sync.Once
	for s := range signals {
		if s == syscall.SIGCONT {
			once.Do(func() { close(w.thawed) })
			continue
		}
		close(w.released)
		tick := time.NewTicker(time.Millisecond)
		for tally.Completed.Load() < int64(released) {
			<-tick.C
		}
		tick.Stop()
		fmt.Println("freezing")
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
}
