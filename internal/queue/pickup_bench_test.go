package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/migrations"
)

// BenchmarkPickup measures how long a job waits for a worker process that has time: from the moment
// Insert returns, its commit known, and from the moment Insert was called, to the first line of Work.
// Jobs arrive at random (a Poisson process), and a slow one delays none after it. The floor, measured
// in the same run, is what Postgres and pgx take for an insert and a bare notification.
//
//	go test -run '^$' -bench Pickup -benchtime 30s ./internal/queue
func BenchmarkPickup(b *testing.B) {
	url := startDurable(b).URL(postgres.Database)
	for _, perSecond := range []float64{20, 300} {
		b.Run(fmt.Sprintf("%.0f/s", perSecond), func(b *testing.B) { benchmarkPickup(b, url, perSecond) })
	}
}

const (
	warmUp         = 50 // jobs that come first and are not counted
	floorPerSecond = 20
)

// passage is the way of one job, or of one notification of the floor.
type passage struct{ begun, committed, arrived time.Time }

func benchmarkPickup(b *testing.B, url string, perSecond float64) {
	warm := make([]passage, warmUp)
	jobs := make([]passage, b.N)
	floor := make([]passage, max(1, int(float64(b.N)*floorPerSecond/perSecond)))
	insert := startProbes(b, url, [][]passage{warm, jobs})
	notify := startFloor(b, url, floor)
	arrive(len(warm), 200, func(n int) { insert(0, n) })

	b.ResetTimer()
	var both sync.WaitGroup
	both.Go(func() { arrive(len(jobs), perSecond, func(n int) { insert(1, n) }) })
	both.Go(func() { arrive(len(floor), floorPerSecond, notify) })
	both.Wait()
	b.StopTimer()

	b.ReportMetric(0, "ns/op") // the time between two arrivals says nothing
	report(b, "commit", jobs, func(p passage) time.Duration { return p.arrived.Sub(p.committed) })
	report(b, "insert", jobs, func(p passage) time.Duration { return p.arrived.Sub(p.begun) })
	report(b, "floor-commit", floor, func(p passage) time.Duration { return p.arrived.Sub(p.committed) })
	report(b, "floor-insert", floor, func(p passage) time.Duration { return p.arrived.Sub(p.begun) })
}

// arrive calls each with 0 to count-1, each in a goroutine of its own, at random times, and returns when
// all have returned.
func arrive(count int, perSecond float64, each func(n int)) {
	random := rand.New(rand.NewPCG(1, uint64(count)))
	var all sync.WaitGroup
	due := time.Now()
	for n := range count {
		due = due.Add(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)))
		<-time.After(time.Until(due))
		all.Go(func() { each(n) })
	}
	all.Wait()
}

// startProbes starts a worker process and answers what enqueues a job, waits for its work and notes its
// passage in list[of][n].
func startProbes(b *testing.B, url string, list [][]passage) (insert func(of, n int)) {
	b.Helper()
	worked := make([][]chan struct{}, len(list))
	for of, passages := range list {
		worked[of] = make([]chan struct{}, len(passages))
		for n := range passages {
			worked[of][n] = make(chan struct{})
		}
	}
	const each = 1 << 32 // N carries both numbers
	startBenchClient(b, url, func(_ context.Context, job *river.Job[probeArgs]) error {
		of, n := job.Args.N/each, job.Args.N%each
		list[of][n].arrived = time.Now()
		close(worked[of][n])
		return nil
	})
	inserter, err := queue.NewInserter(benchPool(b, url, "inserter", 8))
	if err != nil {
		b.Fatal(err)
	}
	return func(of, n int) {
		p := &list[of][n]
		p.begun = time.Now()
		if _, err := inserter.Insert(b.Context(), probeArgs{N: of*each + n}, nil); err != nil {
			b.Errorf("insert job %d: %v", n, err)
			return
		}
		p.committed = time.Now()
		await(b, worked[of][n])
	}
}

// startBenchClient starts a worker client with 16 slots, as a worker process has for orders.
func startBenchClient(b *testing.B, url string, work func(context.Context, *river.Job[probeArgs]) error) {
	b.Helper()
	client, err := queue.NewWorker(benchPool(b, url, "bench", 22), benchConfig(work))
	if err != nil {
		b.Fatal(err)
	}
	if err := client.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.StopAndCancel(ctx); err != nil {
			b.Errorf("stop: %v", err)
		}
	})
}

func benchConfig(work func(context.Context, *river.Job[probeArgs]) error) queue.WorkerConfig {
	registered := river.NewWorkers()
	river.AddWorker(registered, &probeWorker{work: work})
	return queue.WorkerConfig{
		ClientID: "bench", Queues: map[string]int{"probes": 16}, Workers: registered, Contracts: contracts,
		SoftStop: time.Minute, RescueAfter: time.Hour, Log: slog.New(slog.DiscardHandler),
	}
}

// startFloor listens, and answers what inserts a row with a notification, waits for that and notes its
// passage in list[n].
func startFloor(b *testing.B, url string, list []passage) (notify func(n int)) {
	b.Helper()
	received := make([]chan struct{}, len(list))
	for n := range received {
		received[n] = make(chan struct{})
	}
	pool := benchPool(b, url, "floor", 8)
	if _, err := pool.Exec(b.Context(), "create table if not exists floor (n integer)"); err != nil {
		b.Fatal(err)
	}
	listenFloor(b, url, func(n int) {
		list[n].arrived = time.Now()
		close(received[n])
	})
	return func(n int) {
		p := &list[n]
		p.begun = time.Now()
		err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(b.Context(), "insert into floor (n) values ($1)", n); err != nil {
				return err
			}
			_, err := tx.Exec(b.Context(), "select pg_notify('floor', $1)", strconv.Itoa(n))
			return err
		})
		if err != nil {
			b.Errorf("notify %d: %v", n, err)
			return
		}
		p.committed = time.Now()
		await(b, received[n])
	}
}

// listenFloor calls got for every notification of the floor until the benchmark ends.
func listenFloor(b *testing.B, url string, got func(n int)) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), "listen floor"); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			notification, err := conn.WaitForNotification(ctx)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					b.Errorf("listen: %v", err)
				}
				return
			}
			n, _ := strconv.Atoi(notification.Payload)
			got(n)
		}
	})
	b.Cleanup(func() {
		cancel()
		listening.Wait()
		_ = conn.Close(context.Background())
	})
}

// await waits for something that is sure to come, unless there is a fault.
func await(b *testing.B, happened <-chan struct{}) {
	select {
	case <-happened:
	case <-time.After(time.Minute):
		b.Error("waited a minute for what takes milliseconds")
	}
}

// report prints the quantiles of a duration of all passages, in milliseconds.
func report(b *testing.B, what string, passages []passage, of func(passage) time.Duration) {
	took := make([]float64, len(passages))
	for i, p := range passages {
		took[i] = float64(of(p).Microseconds()) / 1000
	}
	slices.Sort(took)
	at := func(share float64) float64 { return took[min(len(took)-1, int(share*float64(len(took))))] }
	b.ReportMetric(at(0.50), what+"-p50-ms")
	b.ReportMetric(at(0.95), what+"-p95-ms")
	b.ReportMetric(at(0.99), what+"-p99-ms")
	b.ReportMetric(at(1), what+"-max-ms")
}

// startDurable starts a server that syncs as a production server does, with the schema.
func startDurable(b *testing.B) *postgres.Server {
	b.Helper()
	dir, err := os.MkdirTemp("", "backoffice-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the server's account is another where we are root
		b.Fatal(err)
	}
	server, err := postgres.StartServer(b.Context(), postgres.ServerOptions{Dir: dir, BinDir: os.Getenv("BACKOFFICE_PG_BIN"), Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	if err := migrations.Up(b.Context(), benchPool(b, server.URL(postgres.Database), "migrate", 2), nil); err != nil {
		b.Fatal(err)
	}
	return server
}

func benchPool(b *testing.B, url, name string, connections int32) *pgxpool.Pool {
	b.Helper()
	pool, err := postgres.Connect(context.Background(), url, postgres.Options{ApplicationName: name, MaxConns: connections})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}
