package order_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/jobs"
)

const (
	claimSQL = `
with claimed as (
  select id from river_job where state = 'available' order by priority, scheduled_at, id limit $1 for update skip locked
)
update river_job set state = 'running', attempted_at = clock_timestamp(), attempt = attempt + 1
  from claimed where river_job.id = claimed.id
returning river_job.id, (args ->> 'order_id')::bigint`

	fenceSQL = `
select id, (args ->> 'order_id')::bigint from river_job where id = any($1) and state = 'running' order by id for update`

	completeSQL = `
update river_job set state = 'completed', finalized_at = clock_timestamp() where id = any($1)`

	snoozeSQL = `
update river_job set state = 'available' where id = any($1)`
)

// work does what worker processes do: claims a few jobs, locks their rows, processes their orders and
// completes the jobs in one transaction; orders that others hold are for later. It answers how many jobs
// it claimed.
func (s *shop) work(ctx context.Context, most int) (int, error) {
	rows, err := s.pool.Query(ctx, claimSQL, most)
	if err != nil {
		return 0, err
	}
	claimed, _, err := idPairs(rows)
	if err != nil || len(claimed) == 0 {
		return 0, err
	}
	return len(claimed), s.settle(ctx, func(tx pgx.Tx, process process) error {
		rows, err := tx.Query(ctx, fenceSQL, claimed)
		if err != nil {
			return err
		}
		held, orders, err := idPairs(rows)
		if err != nil {
			return err
		}
		answers, err := process(ctx, tx, s.jobs, orders, pgtest.Noon)
		if err != nil {
			return err
		}
		var settled, busy []int64
		for i, answer := range answers {
			switch {
			case answer.Err == nil:
				settled = append(settled, held[i])
			case errors.Is(answer.Err, order.ErrBusy):
				busy = append(busy, held[i])
			default:
				return answer.Err
			}
		}
		if _, err := tx.Exec(ctx, completeSQL, settled); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, snoozeSQL, busy)
		return err
	})
}

// process is one of the ways to settle a set of orders.
type process = func(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64, now time.Time) ([]order.Answer, error)

func quickly(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64, now time.Time) ([]order.Answer, error) {
	return order.ProcessQuick(ctx, tx, enq, ids, now, nil)
}

// settle runs work in a transaction: quickly, and again with turns when others were quicker.
func (s *shop) settle(ctx context.Context, work func(pgx.Tx, process) error) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return work(tx, quickly) })
	if errors.Is(err, order.ErrMoved) {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return work(tx, order.Process) })
	}
	return err
}

// workUntil works until ended is closed and no job is left to claim.
func (s *shop) workUntil(ctx context.Context, ended <-chan struct{}, random *rand.Rand) error {
	for {
		over := false
		select {
		case <-ended:
			over = true
		default:
		}
		n, err := s.work(ctx, 1+random.IntN(4))
		if err != nil || (over && n == 0) {
			return err
		}
	}
}

func idPairs(rows pgx.Rows) (first, second []int64, err error) {
	var a, b int64
	_, err = pgx.ForEachRow(rows, []any{&a, &b}, func() error {
		first, second = append(first, a), append(second, b)
		return nil
	})
	return first, second, err
}
