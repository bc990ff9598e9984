package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// reaper finds dead processes and takes their jobs back. Every worker process runs one. It looks at the
// others with each heartbeat of its own, so an idle installation pays one query a second and process.
type reaper struct {
	cfg  ProcessConfig
	pool *pgxpool.Pool
	log  *slog.Logger

	sighted map[string]sighting // processes found wanting at the last look
	dead    chan suspect
}

func newReaper(cfg ProcessConfig, pool *pgxpool.Pool, log *slog.Logger) *reaper {
	return &reaper{cfg: cfg, pool: pool, log: log, sighted: map[string]sighting{}, dead: make(chan suspect, 1)}
}

// suspect is a process that a look found wanting.
type suspect struct {
	ClientID string
	BeatAt   time.Time
	Cause    string
}

// The causes. A process without its lock, or silent, is dead if it stays so. Of one that was declared dead
// before jobs may be left: it may have fetched them after it was reaped.
const (
	causeUnlocked = "its connection ended"
	causeSilent   = "its heartbeat stopped"
	causeLeft     = "it left jobs behind"
)

// A crash of one backend, a restart or a promotion of the server frees every lock at once and keeps every
// process from beating. So a look judges by heartbeats ($3) only once its own session is as old as the
// limit, and by locks ($4) only once it is as old as the self-limit: within that time a living process
// has taken its lock again or has ended itself. A free lock says something only about a process that
// beat while the looking session ($2) was there; of the others the heartbeat alone decides.
const lookSQL = `
with /* queue.look */ others as (
  select client_id, beat_at, poll_only, dead_after, declared_dead_at,
         hashtextextended('backoffice worker ' || client_id, 0) as key
    from worker_processes
   where client_id <> $1
)
select client_id, beat_at, 'its heartbeat stopped' as cause
  from others
 where $3
   and declared_dead_at is null
   and beat_at < clock_timestamp() - dead_after
union all
select client_id, beat_at, 'its connection ended'
  from others
 where $4
   and declared_dead_at is null
   and beat_at >= clock_timestamp() - dead_after
   and beat_at > $2
   and not poll_only
   and not exists (
         select from pg_locks
          where locktype = 'advisory'
            and granted
            and objsubid = 1
            and database = (select oid from pg_database where datname = current_database())
            and classid::bigint = (key >> 32) & 4294967295
            and objid::bigint = key & 4294967295)
union all
select distinct o.client_id, o.beat_at, 'it left jobs behind'
  from river_job job
  join others o on o.client_id = job.attempted_by[array_upper(job.attempted_by, 1)]
 where job.state = 'running'
   and o.declared_dead_at is not null`

// queueLook adds the look at the other processes to a heartbeat's batch. session is when the session that
// holds our lock began, zero for none; steady is for how long our heartbeats have followed each other.
func (r *reaper) queueLook(batch *pgx.Batch, session time.Time, steady time.Duration, found *[]suspect) {
	limits := r.cfg.Liveness
	byHeartbeat, byLock := steady >= limits.DeadAfter, steady >= limits.SelfLimit && !session.IsZero()
	batch.Queue(lookSQL, r.cfg.ClientID, session, byHeartbeat, byLock).Query(func(rows pgx.Rows) (err error) {
		*found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[suspect])
		return err
	})
}

// sighting is the first of the looks in a row that found a process wanting.
type sighting struct {
	at     time.Time
	beatAt time.Time // of the process; a beat since then ends the row
}

// lookAgain is how soon a process found wanting is looked at again.
const lookAgain = 300 * time.Millisecond

// nextLook is how long to wait for the next heartbeat.
func (r *reaper) nextLook() time.Duration {
	if len(r.sighted) > 0 {
		return min(lookAgain, r.cfg.Liveness.Beat)
	}
	return r.cfg.Liveness.Beat
}

// provenAfter is how long, by our own clock, a process must be found wanting and not beat to be dead: two
// beats. One that only lost the connection takes the lock again within milliseconds, on a crowded machine
// within a second; one that seems silent because the database's clock was set beats again.
func (r *reaper) provenAfter() time.Duration { return 2 * r.cfg.Liveness.Beat }

// judge hands one process on that is certainly dead; the next look finds the others again.
func (r *reaper) judge(suspects []suspect) {
	before := r.sighted
	r.sighted = map[string]sighting{}
	for _, s := range suspects {
		if s.Cause != causeLeft {
			first, seen := before[s.ClientID]
			if !seen || !first.beatAt.Equal(s.BeatAt) {
				first = sighting{at: time.Now(), beatAt: s.BeatAt}
			}
			r.sighted[s.ClientID] = first
			if time.Since(first.at) < r.provenAfter() {
				continue
			}
		}
		select {
		case r.dead <- s:
		default: // busy with another
		}
	}
}

// run reaps what judge hands on, until ctx ends.
func (r *reaper) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-r.dead:
			if err := r.reapProcess(ctx, s); err != nil && ctx.Err() == nil {
				r.log.ErrorContext(ctx, "dead worker process not reaped", "client_id", s.ClientID, "error", err)
			}
		}
	}
}

// A beat that came after the look saves the process.
const declareSQL = `
update /* queue.declare */ worker_processes
   set declared_dead_at = clock_timestamp()
 where client_id = $1
   and beat_at = $2
   and declared_dead_at is null`

// A frozen process keeps its row locks, also those of the jobs. All worker processes share one role, so
// they may end each other's backends.
const terminateSQL = `
select /* queue.terminate */ count(*) filter (where pg_terminate_backend(pid, 2000))
  from pg_stat_activity
 where application_name = $1
   and datname = current_database()
   and pid <> pg_backend_pid()`

// reapProcess declares a process dead, ends what the server keeps of it and takes its jobs back.
func (r *reaper) reapProcess(ctx context.Context, s suspect) error {
	if s.Cause != causeLeft {
		tag, err := r.pool.Exec(ctx, declareSQL, s.ClientID, s.BeatAt)
		if err != nil {
			return fmt.Errorf("declare %s dead: %w", s.ClientID, err)
		}
		if tag.RowsAffected() == 0 {
			return nil // it lives, or another process was first
		}
		r.log.WarnContext(ctx, "worker process declared dead", "client_id", s.ClientID, "cause", s.Cause, "last_beat_at", s.BeatAt)
	}
	var ended int
	if err := r.pool.QueryRow(ctx, terminateSQL, s.ClientID).Scan(&ended); err != nil && s.Cause != causeLeft && ctx.Err() == nil {
		// Not even then do the jobs have to wait: rows that are still locked are skipped.
		r.log.ErrorContext(ctx, "backends of a dead worker process not ended; let all worker processes share one role", "client_id", s.ClientID, "error", err)
	}
	taken, err := takeBack(ctx, r.pool, s.ClientID, r.cfg.MaxCrashRescues)
	if err != nil {
		return err
	}
	if ended+taken.Available+taken.Discarded+taken.Cancelled > 0 {
		r.log.WarnContext(ctx, "jobs of a dead worker process taken back", "client_id", s.ClientID, "backends_ended", ended,
			"available", taken.Available, "discarded", taken.Discarded, "cancelled", taken.Cancelled)
	}
	return nil
}
