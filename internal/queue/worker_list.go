package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// WorkerProcess is how a worker process stands; times are UTC.
type WorkerProcess struct {
	ClientID       string        `json:"client_id"`
	Condition      string        `json:"condition"` // alive, stopping, frozen, silent or dead
	Host           string        `json:"host"`
	PID            int           `json:"pid"`
	Version        string        `json:"version"`
	Queues         []string      `json:"queues"`
	RunningJobs    int           `json:"running_jobs"`
	LastBeatAge    time.Duration `json:"-"`
	LastBeatSecs   float64       `json:"last_beat_age_seconds"`
	StartedAt      time.Time     `json:"started_at"`
	StoppingAt     *time.Time    `json:"stopping_at"`
	DeclaredDeadAt *time.Time    `json:"declared_dead_at"`
	CrashedJobs    int           `json:"crashed_jobs"` // whose latest crash was the death of this process
}

const listWorkersSQL = `
select /* queue.ListWorkers */ client_id, condition, host, pid, version, queues, running_jobs, last_beat_age,
       extract(epoch from last_beat_age)::float8, started_at, stopping_at, declared_dead_at, crashed_jobs
  from inspect.workers
 where $1
    or declared_dead_at is null
    or declared_dead_at > now() - interval '1 hour'
 order by started_at desc, client_id
 limit $2`

// ListWorkers answers at most limit worker processes, the newest first; all of them, or without those
// declared dead more than an hour ago.
func ListWorkers(ctx context.Context, db postgres.DB, all bool, limit int) ([]WorkerProcess, error) {
	rows, err := db.Query(ctx, listWorkersSQL, all, limit)
	if err != nil {
		return nil, fmt.Errorf("list worker processes: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[WorkerProcess])
	if err != nil {
		return nil, fmt.Errorf("list worker processes: %w", err)
	}
	for i := range found {
		w := &found[i]
		w.StartedAt, w.StoppingAt, w.DeclaredDeadAt = w.StartedAt.UTC(), inUTC(w.StoppingAt), inUTC(w.DeclaredDeadAt)
	}
	return found, nil
}
