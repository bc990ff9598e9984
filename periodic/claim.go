package periodic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"backoffice/jobs"
)

// claimed is a schedule whose ticks are being settled, with its row locked.
type claimed struct {
	name, kind     string
	encoded        []byte // args
	spec, timezone string
	policy         CatchUp
	jitter         time.Duration
	nextRunAt      time.Time
	settled        *time.Time // the last tick in the ledger
	now            time.Time
}

// What could not be dispatched a moment ago is left alone for a while.
const claimSQL = `
select /* periodic.claim */ name, kind, args, spec, timezone, catch_up, jitter, next_run_at,
       (select max(ran.tick_at) from schedule_runs ran where ran.schedule = schedules.name),
       coalesce($1::timestamptz, now())
  from schedules
 where paused_at is null
   and next_run_at <= coalesce($1::timestamptz, now())
   and (last_error_at is null or last_error_at <= coalesce($1::timestamptz, now()) - $2::interval)
 order by next_run_at, name
 limit 1
   for update of schedules skip locked`

const ranSQL = `
insert /* periodic.claim */ into schedule_runs (schedule, tick_at, job_id, outcome, at)
values ($1, $2, $3, $4, $5)`

const skippedSQL = `
insert /* periodic.claim */ into schedule_runs (schedule, tick_at, outcome, at)
select $1, tick_at, 'skipped', $3
  from unnest($2::timestamptz[]) as tick_at`

// A schedule that somebody has set back comes by the same gap again.
const gapSQL = `
insert /* periodic.gap */ into schedule_gaps (schedule, from_at, until_at, cause, at)
values ($1, $2, $3, $4, $5)
    on conflict (schedule, from_at) do update
   set until_at = greatest(schedule_gaps.until_at, excluded.until_at)`

const advanceSQL = `
update /* periodic.claim */ schedules
   set next_run_at = $2,
       last_error = null,
       last_error_at = null
 where name = $1`

// claim settles the ticks of one schedule that is due: their jobs, their ledger rows and the next tick, in
// one transaction. It answers false when nothing is due.
func (d *Dispatcher) claim(ctx context.Context, tx pgx.Tx) (bool, error) {
	var c claimed
	err := tx.QueryRow(ctx, claimSQL, d.clock(), retryBroken).
		Scan(&c.name, &c.kind, &c.encoded, &c.spec, &c.timezone, &c.policy, &c.jitter, &c.nextRunAt, &c.settled, &c.now)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim a schedule: %w", err)
	}
	schedule, err := ParseSpec(c.spec, c.timezone)
	if err != nil {
		return false, &brokenError{c.name, err}
	}
	args, err := guard(func() (river.JobArgs, error) { return d.Decode(c.kind, c.encoded) })
	if err != nil {
		return false, &brokenError{c.name, err}
	}
	todo := settle(schedule, c.policy, c.firstTick(schedule), c.now)
	for _, tick := range todo.run {
		if err := d.enqueue(ctx, tx, c, args, tick); err != nil {
			return false, err
		}
	}
	return true, c.record(ctx, tx, todo)
}

// firstTick is the first tick that is not settled. A row that plain SQL has written may say any instant,
// one between two ticks or one in the past.
func (c *claimed) firstTick(schedule river.PeriodicSchedule) time.Time {
	after := c.nextRunAt.Add(-time.Microsecond) // Postgres knows no shorter time
	if c.settled != nil && c.settled.After(after) {
		after = *c.settled
	}
	return schedule.Next(after)
}

// enqueue inserts the job of a tick and its ledger row, whose key refuses a tick that was settled before.
func (d *Dispatcher) enqueue(ctx context.Context, tx pgx.Tx, c claimed, args river.JobArgs, tick time.Time) error {
	args, err := resolve(args, tick)
	if err != nil {
		return &brokenError{c.name, fmt.Errorf("tick %s: %w", tick.Format(time.RFC3339), err)}
	}
	opts := &river.InsertOpts{}
	if start := postponed(c.name, tick, c.jitter); start.After(c.now) {
		opts.ScheduledAt = start
	}
	job, err := d.Jobs.InsertTx(ctx, tx, args, opts)
	if err != nil {
		return insertError(ctx, tx, c.name, fmt.Errorf("enqueue tick %s: %w", tick.Format(time.RFC3339), err))
	}
	outcome := OutcomeEnqueued
	if job.UniqueSkippedAsDuplicate { // the job of an earlier tick is not finished: this one adds none
		outcome = OutcomeSkipped
	}
	if _, err := tx.Exec(ctx, ranSQL, c.name, tick, job.Job.ID, outcome, c.now); err != nil {
		return fmt.Errorf("record tick %s of schedule %q: %w", tick.Format(time.RFC3339), c.name, err)
	}
	return nil
}

// resolve fills in what depends on the instant at which args are enqueued.
func resolve(args river.JobArgs, at time.Time) (river.JobArgs, error) {
	ticked, ok := args.(jobs.Ticked)
	if !ok {
		return args, nil
	}
	return guard(func() (river.JobArgs, error) {
		resolved, err := ticked.At(at)
		if err != nil {
			return nil, err
		}
		return resolved, resolved.Validate()
	})
}

// guard answers a panic in the code of a kind as an error: one row of schedules must not end every process that
// claims it.
func guard(ofKind func() (river.JobArgs, error)) (args river.JobArgs, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			args, err = nil, fmt.Errorf("the code of the kind panicked: %v", fault)
		}
	}()
	return ofKind()
}

const probeSQL = `select /* periodic.claim */ 1`

// insertError tells a job that can never be inserted, which is the schedule's fault, from a database that
// is away, which is nobody's: then the transaction is, too.
func insertError(ctx context.Context, tx pgx.Tx, schedule string, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		if !aboutServer(refused) {
			return &brokenError{schedule, err}
		}
	} else if _, gone := tx.Exec(ctx, probeSQL); gone == nil {
		return &brokenError{schedule, err}
	}
	return fmt.Errorf("schedule %q: %w", schedule, err)
}

// aboutServer tells a refusal that is about the server, the connection or others from one of the job itself:
// by its data, by a constraint, or by a trigger somebody has put on the jobs.
func aboutServer(refused *pgconn.PgError) bool {
	if len(refused.Code) < 2 {
		return true
	}
	switch refused.Code[:2] {
	case "08", "25", "40", "53", "55", "57", "58", "XX": // connection, transaction, resources, locks, shutdown, system
		return true
	}
	return false
}

// record writes down the ticks without jobs and moves the schedule on.
func (c *claimed) record(ctx context.Context, tx pgx.Tx, done settlement) error {
	if !done.gapUntil.IsZero() {
		if _, err := tx.Exec(ctx, gapSQL, c.name, done.gapFrom, done.gapUntil, gapOutage, c.now); err != nil {
			return fmt.Errorf("record the gap of schedule %q: %w", c.name, err)
		}
	}
	if len(done.skip) > 0 {
		if _, err := tx.Exec(ctx, skippedSQL, c.name, done.skip, c.now); err != nil {
			return fmt.Errorf("record skipped ticks of schedule %q: %w", c.name, err)
		}
	}
	if _, err := tx.Exec(ctx, advanceSQL, c.name, done.next); err != nil {
		return fmt.Errorf("move schedule %q on: %w", c.name, err)
	}
	return nil
}
