package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// How River without our fence is run: what gave the highest rates of several tried.
const (
	stockWorkers     = 500
	stockConnections = 26
	stockCooldown    = 2 * time.Millisecond
	stockGiveUp      = 3 * time.Minute
)

// orderWorker works process_order by a function.
type orderWorker struct {
	river.WorkerDefaults[jobs.ProcessOrderArgs]
	work func(ctx context.Context, job *river.Job[jobs.ProcessOrderArgs]) error
}

// Work works one job.
func (w *orderWorker) Work(ctx context.Context, job *river.Job[jobs.ProcessOrderArgs]) error {
	return w.work(ctx, job)
}

// stockClient is a client of River's own driver that works process_order with worker.
func stockClient(pool *pgxpool.Pool, worker *orderWorker, config river.Config) (*river.Client[pgx.Tx], error) {
	config.Workers = river.NewWorkers()
	river.AddWorker(config.Workers, worker)
	config.Logger = slog.New(slog.DiscardHandler)
	client, err := river.NewClient(riverpgxv5.New(pool), &config)
	if err != nil {
		return nil, fmt.Errorf("build a stock client of River: %w", err)
	}
	return client, nil
}

func (l *Lab) runStockRiver(books *audit) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		orders, err := listPlain(ctx, db)
		if err != nil {
			return nil, err
		}
		started := time.Now()
		if err := drainStock(ctx, db, orders); err != nil {
			return nil, err
		}
		return jobFigures(ctx, db, time.Since(started), books)
	}
}

// drainStock works all orders with a stock client. Each has one transaction of plain SQL; River completes
// its job after that and asynchronously, so that a crash in between would cause the effects twice.
func drainStock(ctx context.Context, db *Database, orders []plainOrder) (err error) {
	pool, err := postgres.Connect(ctx, db.URL, postgres.Options{ApplicationName: "bench stock river", MaxConns: stockConnections})
	if err != nil {
		return err
	}
	defer pool.Close()
	dealt := make(map[int64]plainOrder, len(orders))
	for _, o := range orders {
		dealt[o.ID] = o
	}
	var left atomic.Int64
	left.Store(int64(len(orders)))
	allWorked := make(chan struct{})
	client, err := stockClient(pool, &orderWorker{work: func(ctx context.Context, job *river.Job[jobs.ProcessOrderArgs]) error {
		batch := &pgx.Batch{}
		dealt[job.Args.OrderID].queueEffects(batch)
		err := pool.SendBatch(ctx, batch).Close()
		if err == nil && left.Add(-1) == 0 {
			close(allWorked)
		}
		return err
	}}, river.Config{
		Queues:        map[string]river.QueueConfig{jobs.QueueOrders: {MaxWorkers: stockWorkers}},
		FetchCooldown: stockCooldown,
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("start a stock client of River: %w", err)
	}
	defer func() { err = errors.Join(err, client.Stop(context.WithoutCancel(ctx))) }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(stockGiveUp):
		return fmt.Errorf("stock River has not worked %d jobs after %s", left.Load(), stockGiveUp)
	case <-allWorked:
		return awaitCompleted(ctx, db)
	}
}

const unfinishedSQL = `
select /* bench.awaitCompleted */ exists (
       select from river_job
        where kind = 'process_order'
          and state not in ('completed', 'cancelled', 'discarded'))`

// awaitCompleted returns when River, which writes what has completed some times a second, has written
// the last of it.
func awaitCompleted(ctx context.Context, db *Database) error {
	const every, atMost = 50 * time.Millisecond, time.Minute
	giveUp := time.After(atMost)
	for {
		var unfinished bool
		if err := db.Pool.QueryRow(ctx, unfinishedSQL).Scan(&unfinished); err != nil {
			return fmt.Errorf("look for unfinished jobs: %w", err)
		}
		if !unfinished {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-giveUp:
			return fmt.Errorf("jobs that were worked are not completed after %s", atMost)
		case <-time.After(every):
		}
	}
}
