package bench

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// startProduct starts the program's own worker process.
func (l *Lab) startProduct(ctx context.Context, db *Database, report func(passage)) (stop func() error, err error) {
	worker, err := l.startLasting(ctx, db, report, workerArgs...)
	if err != nil {
		return nil, err
	}
	return worker.stop, nil
}

// The workers of one transaction per order: more than ever run at once at the rates measured.
const (
	oneTxWorkers     = 16
	oneTxConnections = 22
)

// startOneTx works the jobs one by one, each fenced in a transaction of its own.
func startOneTx(ctx context.Context, db *Database, report func(passage)) (stop func() error, err error) {
	pool, err := postgres.Connect(ctx, db.URL, postgres.Options{ApplicationName: "bench one tx", MaxConns: oneTxConnections, Settings: queue.SessionSettings()})
	if err != nil {
		return nil, err
	}
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	registered := river.NewWorkers()
	river.AddWorker(registered, &orderWorker{work: func(ctx context.Context, job *river.Job[jobs.ProcessOrderArgs]) error {
		begun := time.Now()
		err := queue.InJobTx(ctx, pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) {
			answers, err := order.Process(ctx, tx, inserter, []int64{job.Args.OrderID}, time.Now())
			if err != nil {
				return queue.Outcome{}, err
			}
			return queue.Completed(), answers[0].Err
		})
		if err == nil {
			report(passage{jobID: job.ID, begun: begun, committed: time.Now()})
		}
		return err
	}})
	client, err := queue.NewWorker(pool, queue.WorkerConfig{
		ClientID: "bench-one-tx", Queues: map[string]int{jobs.QueueOrders: oneTxWorkers}, Workers: registered,
		Contracts: []jobs.Contract{jobs.ProcessOrderArgs{}.Contract()}, SoftStop: time.Minute, RescueAfter: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		err = client.Start(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return func() error {
		defer pool.Close()
		return client.Stop(context.WithoutCancel(ctx))
	}, nil
}

// defaultWorkers is how many River's own documentation gives a queue. With fewer its default time between
// two fetches, 100 ms, would not even let 300 jobs a second through.
const defaultWorkers = 100

// startDefaults takes the jobs with stock River and its default settings, and does nothing.
func startDefaults(ctx context.Context, db *Database, report func(passage)) (stop func() error, err error) {
	pool, err := postgres.Connect(ctx, db.URL, postgres.Options{ApplicationName: "bench defaults", MaxConns: oneTxConnections})
	if err != nil {
		return nil, err
	}
	client, err := stockClient(pool, &orderWorker{work: func(_ context.Context, job *river.Job[jobs.ProcessOrderArgs]) error {
		report(passage{jobID: job.ID, begun: time.Now()})
		return nil
	}}, river.Config{Queues: map[string]river.QueueConfig{jobs.QueueOrders: {MaxWorkers: defaultWorkers}}})
	if err == nil {
		err = client.Start(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return func() error {
		defer pool.Close()
		return client.Stop(context.WithoutCancel(ctx))
	}, nil
}
