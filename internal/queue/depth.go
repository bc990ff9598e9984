package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// MaxDepth is where ListQueues stops to count the jobs of one queue and state.
const MaxDepth = 10_000

// Depth is how a queue stands: its unfinished jobs by state, each count at most MaxDepth.
type Depth struct {
	Queue             string     `json:"queue"`
	Available         int        `json:"available"` // due, waiting for a worker
	Running           int        `json:"running"`
	Retryable         int        `json:"retryable"`           // waiting for their next attempt
	Scheduled         int        `json:"scheduled"`           // not due yet
	Capped            bool       `json:"capped"`              // some count stopped at MaxDepth
	OldestAgeSeconds  *float64   `json:"oldest_age_seconds"`  // for how long
	FinishedPerMinute float64    `json:"finished_per_minute"` // of late
	PausedAt          *time.Time `json:"paused_at"`           // null: not paused
}

// Compiling the view takes ten times as long as running it.
const withoutJITSQL = `select /* queue.ListQueues */ set_config('jit', 'off', true)`

// The view counts as text ("10,000+"), stopping where it says so.
const listQueuesSQL = `
select /* queue.ListQueues */ shown.queue, number.available, number.running, number.retryable, number.scheduled,
       concat(shown.available, shown.running, shown.retryable, shown.scheduled) like '%+%',
       extract(epoch from shown.oldest_available_age)::float8, shown.finished_per_minute::float8, shown.paused_at
  from inspect.queues shown
 cross join lateral (
       select coalesce(translate(shown.available, ',+', '')::integer, 0) as available,
              coalesce(translate(shown.running, ',+', '')::integer, 0) as running,
              coalesce(translate(shown.retryable, ',+', '')::integer, 0) as retryable,
              coalesce(translate(shown.scheduled, ',+', '')::integer, 0) as scheduled) number
 order by shown.queue`

// ListQueues answers the queues that have unfinished jobs or that a worker process has worked, by name.
func ListQueues(ctx context.Context, db postgres.DB) ([]Depth, error) {
	var depths []Depth
	batch := &pgx.Batch{} // outside a transaction, too, its statements are one
	batch.Queue(withoutJITSQL)
	batch.Queue(listQueuesSQL).Query(func(rows pgx.Rows) error {
		var err error
		depths, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Depth])
		return err
	})
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	for i := range depths {
		depths[i].PausedAt = inUTC(depths[i].PausedAt)
	}
	return depths, nil
}
