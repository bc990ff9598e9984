package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

// What a fetch takes, its rows read: of a client that fetches job by job, and of a busy one, which fetches
// hundreds of jobs at once.
const (
	fetchManyP50 = "fetch of many p50 ms"
	fetchManyP99 = "fetch of many p99 ms"
	fetchOneP50  = "fetch of one p50 ms"
	fetchOneP99  = "fetch of one p99 ms"

	fetchedOneByOne      = 200
	fetchedOneByOneQuick = 5
)

// drains works a few jobs of the backlog one by one and then n of them, or as many as there are. The rows
// are real, with all their keys, but their orders are missing: nothing but the queue is measured.
func (b backlog) drains(ones, n int) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		one, err := b.drain(ctx, db, ones, 1)
		if err != nil {
			return nil, err
		}
		many, err := b.drain(ctx, db, min(n, b.waiting-one.completed), noopWorkers)
		if err != nil {
			return nil, err
		}
		figures := Figures{jobsPerSecond: float64(many.completed) / many.took.Seconds()}
		addFetches(figures, one.fetches, fetchOneP50, fetchOneP99)
		addFetches(figures, many.fetches, fetchManyP50, fetchManyP99)
		return figures, nil
	}
}

func addFetches(figures Figures, fetches []time.Duration, p50, p99 string) {
	if len(fetches) == 0 {
		return
	}
	slices.Sort(fetches)
	ms := func(share float64) float64 {
		return float64(fetches[int(share*float64(len(fetches)-1))]) / float64(time.Millisecond)
	}
	figures[p50], figures[p99] = ms(0.5), ms(0.99)
}

// drained is what one client did.
type drained struct {
	completed int
	took      time.Duration // from the first fetch until the last outcome was written, by the server's clock
	fetches   []time.Duration
}

const serverNowSQL = `select /* bench.backlog */ clock_timestamp()`

// drain works at least n jobs: those in hand when the n-th is done are worked too.
func (b backlog) drain(ctx context.Context, db *Database, n, workers int) (result drained, err error) {
	timer := &fetchTimer{}
	config := db.Pool.Config()
	maps.Copy(config.ConnConfig.RuntimeParams, queue.SessionSettings())
	config.ConnConfig.Tracer = timer
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return result, fmt.Errorf("connect the worker: %w", err)
	}
	defer pool.Close()
	var before, after time.Time
	if err := db.Pool.QueryRow(ctx, serverNowSQL).Scan(&before); err != nil {
		return result, fmt.Errorf("read the server's clock: %w", err)
	}
	worked, err := work(ctx, pool, n, workers)
	if err != nil {
		return result, err
	}
	if err := db.Pool.QueryRow(ctx, serverNowSQL).Scan(&after); err != nil {
		return result, fmt.Errorf("read the server's clock: %w", err)
	}
	began, err := b.check(ctx, db, before, worked)
	return drained{completed: worked, took: after.Sub(began), fetches: timer.all()}, err
}

// work runs a worker's client until n jobs are worked, stops it and answers how many it worked in all.
func work(ctx context.Context, pool *pgxpool.Pool, n, workers int) (int, error) {
	var worked atomic.Int64
	enough := make(chan struct{})
	registered := river.NewWorkers()
	river.AddWorker(registered, &orderWorker{work: func(context.Context, *river.Job[jobs.ProcessOrderArgs]) error {
		if worked.Add(1) == int64(n) {
			close(enough)
		}
		return nil
	}})
	client, err := queue.NewWorker(pool, queue.WorkerConfig{
		ClientID: "bench-backlog", Queues: map[string]int{jobs.QueueOrders: workers}, Workers: registered,
		Contracts: []jobs.Contract{jobs.ProcessOrderArgs{}.Contract()}, SoftStop: closeLimit, RescueAfter: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return 0, err
	}
	if err := client.Start(ctx); err != nil {
		return 0, fmt.Errorf("start the client: %w", err)
	}
	select {
	case <-enough:
	case <-ctx.Done():
	case <-time.After(drainLimit):
		err = fmt.Errorf("only %d of %d jobs were worked within %s", worked.Load(), n, drainLimit)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err = errors.Join(err, ctx.Err(), client.Stop(stopping)) // jobs in hand finish
	return int(worked.Load()), err
}

const checkBacklogSQL = `
select /* bench.backlog */
       count(*) filter (where attempted_at >= $1),
       count(*) filter (where attempted_at >= $1 and state = 'completed' and attempt = 1 and finalized_at is not null),
       count(*) filter (where kind = 'bench_unknown' and state = 'available' and attempt = 0),
       count(*) filter (where state not in ('available', 'completed')),
       coalesce(max(id) filter (where attempted_at >= $1), 0)
         < coalesce(min(id) filter (where kind = 'process_order' and state = 'available'), 9223372036854775807),
       min(attempted_at) filter (where attempted_at >= $1)
  from river_job`

// check wants what was worked completed at the first attempt, the oldest jobs first, and the rest as it
// was. It answers when the first was taken.
func (b backlog) check(ctx context.Context, db *Database, since time.Time, worked int) (began time.Time, err error) {
	var taken, completed, unknown, others int
	var inOrder bool
	if err := db.Pool.QueryRow(ctx, checkBacklogSQL, since).Scan(&taken, &completed, &unknown, &others, &inOrder, &began); err != nil {
		return began, fmt.Errorf("look at the jobs: %w", err)
	}
	switch {
	case taken != worked || completed != worked:
		return began, fmt.Errorf("%d jobs were worked, but %d taken and %d completed at the first attempt", worked, taken, completed)
	case others > 0:
		return began, fmt.Errorf("%d jobs are neither waiting nor completed", others)
	case unknown != b.unknown:
		return began, fmt.Errorf("%d of %d jobs of the unknown kind are as they were", unknown, b.unknown)
	case !inOrder:
		return began, errors.New("a younger job was taken before an older one")
	}
	return began, nil
}

// fetchMarks are found in the statements that fetch jobs: River's, and what the worker's client issues in
// its place.
var fetchMarks = []string{"JobGetAvailable", "queue.fetch"}

// fetchTimer notes how long the fetches of a pool take, until their rows are read. It is pgx's tracer.
type fetchTimer struct {
	mu    sync.Mutex
	times []time.Duration
}

type fetchBegan struct{}

// TraceQueryStart is called before a statement.
func (*fetchTimer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	if slices.ContainsFunc(fetchMarks, func(mark string) bool { return strings.Contains(query.SQL, mark) }) {
		return context.WithValue(ctx, fetchBegan{}, time.Now())
	}
	return ctx
}

// TraceQueryEnd is called once a statement's rows are read. Fetches that found nothing are left out: they
// come before the first job and after the last.
func (t *fetchTimer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryEndData) {
	began, fetch := ctx.Value(fetchBegan{}).(time.Time)
	if !fetch || query.Err != nil || query.CommandTag.RowsAffected() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, time.Since(began))
}

func (t *fetchTimer) all() []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.times)
}
