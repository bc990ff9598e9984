package queue_test

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// probeArgs is a kind that does what a test tells it to.
type probeArgs struct {
	N      int           `json:"n"`
	Within time.Duration `json:"within,omitempty"` // how long an attempt may run; zero: as the contract says
}

func (probeArgs) Kind() string    { return "probe" }
func (probeArgs) Validate() error { return nil }

var probeContract = jobs.Contract{
	Kind: "probe", Queue: "probes", Timeout: 30 * time.Second, MaxAttempts: 4,
	Retry:     jobs.Retry{First: 50 * time.Millisecond, Max: 150 * time.Millisecond},
	Retention: jobs.Retention{Completed: time.Hour, Failed: 2 * time.Hour},
	Harmless:  "it does nothing of its own",
}

var contracts = []jobs.Contract{probeContract}

func (probeArgs) Contract() jobs.Contract        { return probeContract }
func (a probeArgs) InsertOpts() river.InsertOpts { return a.Contract().InsertOpts() }

// probeWorker calls work for every attempt.
type probeWorker struct {
	river.WorkerDefaults[probeArgs]
	work func(ctx context.Context, job *river.Job[probeArgs]) error
}

func (w *probeWorker) Timeout(job *river.Job[probeArgs]) time.Duration {
	return cmp.Or(job.Args.Within, probeContract.Timeout)
}

func (w *probeWorker) Work(ctx context.Context, job *river.Job[probeArgs]) error {
	return w.work(ctx, job)
}

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.String()
}

// probeProcess stands for one worker process.
type probeProcess struct {
	config queue.WorkerConfig
	client *river.Client[pgx.Tx]
	logged *logBuffer
}

func newProbeProcess(t *testing.T, pool *pgxpool.Pool, id string, slots int, work func(context.Context, *river.Job[probeArgs]) error) *probeProcess {
	t.Helper()
	p := &probeProcess{logged: &logBuffer{}}
	p.config = probeConfig(id, slots, p.logged, work)
	var err error
	if p.client, err = queue.NewWorker(pool, p.config); err != nil {
		t.Fatalf("NewWorker: %v", err)
	}
	if err := p.client.Start(context.Background()); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(p.stop)
	return p
}

// probeConfig works probes, slots of them at once.
func probeConfig(id string, slots int, logged io.Writer, work func(context.Context, *river.Job[probeArgs]) error) queue.WorkerConfig {
	registered := river.NewWorkers()
	river.AddWorker(registered, &probeWorker{work: work})
	return queue.WorkerConfig{
		ClientID: id, Queues: map[string]int{"probes": slots}, Workers: registered, Contracts: contracts,
		SoftStop: 10 * time.Second, RescueAfter: time.Hour, Log: slog.New(slog.NewTextHandler(logged, nil)), Tally: &queue.Tally{},
	}
}

// stop returns once every outcome is written.
func (p *probeProcess) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = p.client.StopAndCancel(ctx)
}

// insertProbe enqueues one probe and answers its id.
func insertProbe(t *testing.T, pool *pgxpool.Pool, n int) int64 {
	t.Helper()
	return insertProbes(t, pool, probeArgs{N: n})[0]
}

// insertProbes enqueues probes at once and answers their ids in order.
func insertProbes(t *testing.T, pool *pgxpool.Pool, probes ...probeArgs) (ids []int64) {
	t.Helper()
	client, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatalf("NewInserter: %v", err)
	}
	params := make([]river.InsertManyParams, len(probes))
	for i, args := range probes {
		params[i].Args = args
	}
	inserted, err := client.InsertMany(t.Context(), params)
	if err != nil {
		t.Fatalf("insert probes: %v", err)
	}
	for _, job := range inserted {
		ids = append(ids, job.Job.ID)
	}
	return ids
}

// probes are n of them, numbered from 0.
func probes(n int) []probeArgs {
	numbered := make([]probeArgs, n)
	for i := range numbered {
		numbered[i].N = i
	}
	return numbered
}

func getJob(t *testing.T, pool *pgxpool.Pool, id int64) *rivertype.JobRow {
	t.Helper()
	client, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatalf("NewInserter: %v", err)
	}
	job, err := client.JobGet(t.Context(), id)
	if err != nil {
		t.Fatalf("get job %d: %v", id, err)
	}
	return job
}

func waitState(t *testing.T, pool *pgxpool.Pool, id int64, want rivertype.JobState) *rivertype.JobRow {
	t.Helper()
	pgtest.Eventually(t, "job is "+string(want), func() (bool, error) { return getJob(t, pool, id).State == want, nil })
	return getJob(t, pool, id)
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
