package periodic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// Dispatcher enqueues what is due. Every worker process runs one; they share the rows of schedules.
type Dispatcher struct {
	Pool   *pgxpool.Pool
	Jobs   jobs.Enqueuer
	Decode func(kind string, args []byte) (river.JobArgs, error)
	Log    *slog.Logger

	Now func() time.Time // a test's clock; nil: the database's, which all processes share
}

// longestSleep bounds how late a schedule is noticed that somebody changed or added meanwhile.
const longestSleep = 5 * time.Second

// Run dispatches until ctx ends. An error is logged and tried again: the ticks wait in the table.
func (d *Dispatcher) Run(ctx context.Context) {
	for {
		sleep := longestSleep
		next, err := d.Dispatch(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.Log.ErrorContext(ctx, "timetable not dispatched", "error", err)
		case next >= 0:
			sleep = min(max(next, 0), longestSleep)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sleep):
		}
	}
}

const nextTickSQL = `
select /* periodic.Dispatch */ min(next_run_at) - coalesce($2::timestamptz, clock_timestamp())
  from schedules
 where paused_at is null
   and name <> all($1)`

// none is Dispatch's answer when no tick is to come.
const none = time.Duration(-1)

// Dispatch enqueues every tick that is due and answers how long it is until the next one, below zero if
// there is none. A schedule that cannot be dispatched, by its spec or its args, is logged and holds up no other.
func (d *Dispatcher) Dispatch(ctx context.Context) (time.Duration, error) {
	broken := []string{}
	for {
		var name string
		err := postgres.InTx(ctx, d.Pool, func(tx pgx.Tx) (err error) {
			name, err = d.claim(ctx, tx, broken)
			return err
		})
		var bad *badScheduleError
		switch {
		case errors.As(err, &bad):
			d.Log.ErrorContext(ctx, "schedule not dispatched", "schedule", bad.name, "error", bad.cause)
			broken = append(broken, bad.name)
		case err != nil:
			return none, err
		case name == "":
			var left *time.Duration
			if err := d.Pool.QueryRow(ctx, nextTickSQL, broken, d.clock()).Scan(&left); err != nil {
				return none, fmt.Errorf("read the next tick: %w", err)
			}
			if left == nil {
				return none, nil
			}
			return max(*left, 0), nil
		}
	}
}

// badScheduleError names a schedule whose row cannot be turned into a job.
type badScheduleError struct {
	name  string
	cause error
}

func (e *badScheduleError) Unwrap() error { return e.cause }
func (e *badScheduleError) Error() string { return fmt.Sprintf("schedule %q: %v", e.name, e.cause) }

const claimSQL = `
select /* periodic.claim */ name, kind, args, spec, catch_up, next_run_at, coalesce($1::timestamptz, now())
  from schedules
 where paused_at is null
   and next_run_at <= coalesce($1::timestamptz, now())
   and name <> all($2)
 order by next_run_at, name
 limit 1
   for update skip locked`

const skipSQL = `
insert /* periodic.claim */ into schedule_runs (schedule, tick_at, outcome)
select $1, tick_at, 'skipped'
  from unnest($2::timestamptz[]) as tick_at`

const ranSQL = `
insert /* periodic.claim */ into schedule_runs (schedule, tick_at, job_id, outcome)
values ($1, $2, $3, $4)`

const advanceSQL = `
update /* periodic.claim */ schedules
   set next_run_at = $2
 where name = $1`

// clock is the instant to go by, nil for the database's own.
func (d *Dispatcher) clock() *time.Time {
	if d.Now == nil {
		return nil
	}
	now := d.Now()
	return &now
}

// claim settles one due schedule: its jobs, their ledger rows and its next tick, in one transaction.
// The ledger's key refuses a tick that was settled before. It answers "" when nothing is due.
func (d *Dispatcher) claim(ctx context.Context, tx pgx.Tx, broken []string) (string, error) {
	var name, kind, spec string
	var encoded []byte
	var policy CatchUp
	var tick, now time.Time
	err := tx.QueryRow(ctx, claimSQL, d.clock(), broken).Scan(&name, &kind, &encoded, &spec, &policy, &tick, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("claim a schedule: %w", err)
	}
	schedule, err := ParseSpec(spec)
	if err != nil {
		return "", &badScheduleError{name, err}
	}
	args, err := d.Decode(kind, encoded)
	if err != nil {
		return "", &badScheduleError{name, err}
	}
	run, skip, next := due(schedule, policy, tick, now)
	for _, at := range run {
		job, err := d.Jobs.InsertTx(ctx, tx, args, nil)
		if err != nil {
			return "", &badScheduleError{name, fmt.Errorf("enqueue tick %s: %w", at.Format(time.RFC3339), err)}
		}
		outcome := "enqueued"
		if job.UniqueSkippedAsDuplicate { // the job of an earlier tick is not finished: this one adds none
			outcome = "skipped"
		}
		if _, err := tx.Exec(ctx, ranSQL, name, at, job.Job.ID, outcome); err != nil {
			return "", fmt.Errorf("record tick %s of schedule %q: %w", at.Format(time.RFC3339), name, err)
		}
	}
	if len(skip) > 0 {
		if _, err := tx.Exec(ctx, skipSQL, name, skip); err != nil {
			return "", fmt.Errorf("record skipped ticks of schedule %q: %w", name, err)
		}
	}
	if _, err := tx.Exec(ctx, advanceSQL, name, next); err != nil {
		return "", fmt.Errorf("move schedule %q on: %w", name, err)
	}
	return name, nil
}
