package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/order"
	"backoffice/internal/queue"
)

const (
	tellEvery  = time.Second
	tellAtMost = 30 * time.Second // an account that is overdue is given as things stand
)

// tell gives an account of the orders once the queue has come to rest.
func (d *dev) tell(ctx context.Context, pool *pgxpool.Pool, process queue.WorkerConfig) {
	deadline := time.Now().Add(tellAtMost)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellEvery):
		}
		idle, err := queue.Idle(ctx, pool, process)
		if err == nil && (idle || time.Now().After(deadline)) {
			d.account(ctx, pool)
			return
		}
	}
}

func (d *dev) account(ctx context.Context, pool *pgxpool.Pool) {
	n, err := order.CountByStatus(ctx, pool)
	if err != nil || len(n) == 0 {
		return
	}
	_ = printf(d.c, "%s", settled(n))
}

// settled writes what order.CountByStatus found, which looks at the newest orders only.
func settled(n map[order.Status]int) string {
	total := 0
	for _, orders := range n {
		total += orders
	}
	whose := count(total, "order")
	if total >= order.CountNewest {
		whose = "of the newest " + whose
	}
	of := func(status order.Status) string { return thousands(int64(n[status])) }
	return fmt.Sprintf("%s: %s processed, %s await stock, %s rejected, %s not processed yet.\n",
		whose, of(order.StatusProcessed), of(order.StatusAwaitingStock), of(order.StatusRejected), of(order.StatusPlaced))
}
