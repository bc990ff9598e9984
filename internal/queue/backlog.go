package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// Backlog counts the unfinished jobs of a worker process's queues and kinds. Jobs of a paused queue
// count as Paused only, since nobody fetches them.
type Backlog struct {
	Available   int `json:"available"`         // due, waiting for a worker
	RunningHere int `json:"running_here"`      // worked by this process
	Elsewhere   int `json:"running_elsewhere"` // worked by another process, or left behind by a dead one
	Scheduled   int `json:"scheduled"`         // not due yet
	Retryable   int `json:"retryable"`         // waiting for their next attempt
	Paused      int `json:"available_while_paused"`
}

const backlogSQL = `
with /* queue.Unfinished */ unfinished as (
  select job.state, job.scheduled_at > now() as later, job.attempt > 0 as tried,
         job.attempted_by[array_upper(job.attempted_by, 1)] = $1 as here,
         queue.paused_at is not null as paused
    from river_job job
    left join river_queue queue on queue.name = job.queue
   where job.queue = any($2)
     and job.kind = any($3)
     and job.state in ('available', 'running', 'scheduled', 'retryable')
)
select count(*) filter (where state = 'available' and not later and not paused),
       count(*) filter (where state = 'running' and here),
       count(*) filter (where state = 'running' and not here),
       count(*) filter (where state = 'scheduled' or state = 'available' and later and not tried),
       count(*) filter (where state = 'retryable' or state = 'available' and later and tried),
       count(*) filter (where state = 'available' and not later and paused)
  from unfinished`

// Unfinished counts what the worker process of cfg could still work. It reads every unfinished job of
// its queues: for the end of a run, not for a status page.
func Unfinished(ctx context.Context, db postgres.DB, cfg WorkerConfig) (Backlog, error) {
	var b Backlog
	err := db.QueryRow(ctx, backlogSQL, cfg.ClientID, slices.Collect(maps.Keys(cfg.Queues)), kinds(cfg.Contracts)).
		Scan(&b.Available, &b.RunningHere, &b.Elsewhere, &b.Scheduled, &b.Retryable, &b.Paused)
	if err != nil {
		return Backlog{}, fmt.Errorf("count unfinished jobs: %w", err)
	}
	return b, nil
}

// The first due job of each queue is looked for in the order of River's fetching index: without an order
// the planner may walk the table, past every finished job.
const idleSQL = `
select /* queue.Idle */ not exists (
         select from unnest($2::text[]) as worked (queue)
          cross join lateral (select from river_job job
                               where job.state = 'available'
                                 and job.queue = worked.queue
                                 and job.kind = any($3)
                                 and job.scheduled_at <= now()
                               order by job.priority, job.scheduled_at, job.id
                               limit 1) as due
          where not exists (select from river_queue paused where paused.name = worked.queue and paused.paused_at is not null))
   and not exists (
         select from river_job
          where queue = any($2)
            and state = 'running'
            and attempted_by[array_upper(attempted_by, 1)] = $1)`

// Idle says whether nothing is left that the worker process of cfg works now or could fetch now. It
// stops at the first job it finds.
func Idle(ctx context.Context, db postgres.DB, cfg WorkerConfig) (bool, error) {
	var idle bool
	err := db.QueryRow(ctx, idleSQL, cfg.ClientID, slices.Collect(maps.Keys(cfg.Queues)), kinds(cfg.Contracts)).Scan(&idle)
	if err != nil {
		return false, fmt.Errorf("look for unfinished jobs: %w", err)
	}
	return idle, nil
}

func kinds(contracts []jobs.Contract) []string {
	names := make([]string, len(contracts))
	for i, c := range contracts {
		names[i] = c.Kind
	}
	return names
}

const connectionLimitSQL = `
select /* queue.ConnectionLimit */ sum(setting::integer) filter (where name = 'max_connections')
     - sum(setting::integer) filter (where name <> 'max_connections')
  from pg_settings
 where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')`

// ConnectionLimit is how many connections the server grants to ordinary roles in all.
func ConnectionLimit(ctx context.Context, db postgres.DB) (int, error) {
	var limit int
	if err := db.QueryRow(ctx, connectionLimitSQL).Scan(&limit); err != nil {
		return 0, fmt.Errorf("read max_connections: %w", err)
	}
	return limit, nil
}
