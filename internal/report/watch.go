package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchEvery is how often a report at work is looked at, and how soon it stops once it was cancelled.
const watchEvery = 500 * time.Millisecond

// progress is what a document has told of itself and the report's row does not say yet.
type progress struct {
	done atomic.Uint64 // the bits of a float64
	rows atomic.Int64
	news atomic.Bool
}

func (p *progress) tell(done float64, rows int64) {
	p.done.Store(math.Float64bits(min(max(done, 0), 1)))
	p.rows.Store(rows)
	p.news.Store(true)
}

// watch answers a context that ends when the report is cancelled, and a function that ends the watching and
// answers the given error, or why the context ended if that is the cause. Meanwhile it writes down the progress.
func (r *run) watch(ctx context.Context) (context.Context, func(error) error) {
	working, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-working.Done():
				return
			case <-time.After(watchEvery):
			}
			if err := r.look(working); err != nil && working.Err() == nil {
				cancel(err)
			}
		}
	})
	return working, func(err error) error {
		cancel(nil)
		watching.Wait()
		if cause := context.Cause(working); err != nil && ctx.Err() == nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		return err
	}
}

const (
	lookSQL = `
select /* report.look */ status
  from reports
 where id = $1`
	progressSQL = `
update /* report.look */ reports
   set rows = $2,
       done = $3
 where id = $1
   and status = 'running'
returning status`
)

// look answers errStopped once the report is not to be made any more.
func (r *run) look(ctx context.Context) error {
	var status Status
	read := func(db interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}, sql string, args ...any) error {
		err := db.QueryRow(ctx, sql, args...).Scan(&status)
		if errors.Is(err, pgx.ErrNoRows) {
			return errStopped
		}
		if err != nil {
			return fmt.Errorf("look at report %d: %w", r.id, err)
		}
		return nil
	}
	var err error
	if r.progress.news.Swap(false) {
		err = r.Part(ctx, func(tx pgx.Tx) error {
			return read(tx, progressSQL, r.id, r.progress.rows.Load(), math.Float64frombits(r.progress.done.Load()))
		})
	} else {
		err = read(r.Pool, lookSQL, r.id)
	}
	if err == nil && status != StatusRunning {
		return errStopped
	}
	return err
}
