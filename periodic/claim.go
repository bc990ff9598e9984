package periodic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
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

// Neither the one loop that dispatches nor the start of a process may wait for others' transactions, which may
// stay open for hours. The commit has its own limit; see postgres.InTxBegunBy.
const beginSQL = `begin; set /* periodic.claim */ local lock_timeout = '250ms'`

// What could not be dispatched a moment ago is left alone for a while, and then has its turn after all others:
// many that wait for locks must not keep those waiting.
const claimSQL = `
select /* periodic.claim */ name, kind, args, spec, timezone, catch_up, jitter, next_run_at,
       (select max(ran.tick_at) from schedule_runs ran where ran.schedule = schedules.name),
       coalesce($1::timestamptz, now())
  from schedules
 where paused_at is null
   and next_run_at <= coalesce($1::timestamptz, now())
   and (retry_at is null or retry_at <= coalesce($1::timestamptz, now()))
 order by retry_at is not null, greatest(next_run_at, retry_at), name
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
       last_error_at = null,
       retry_at = null
 where name = $1`

// claim settles the ticks of one schedule that is due: their jobs, their ledger rows and the next tick, in
// one transaction. It answers the schedule's name, empty when nothing is due.
func (d *Dispatcher) claim(ctx context.Context) (name string, err error) {
	err = postgres.InTxBegunBy(ctx, d.Pool, beginSQL, func(tx pgx.Tx) error {
		var c claimed
		err := tx.QueryRow(ctx, claimSQL, d.clock()).
			Scan(&c.name, &c.kind, &c.encoded, &c.spec, &c.timezone, &c.policy, &c.jitter, &c.nextRunAt, &c.settled, &c.now)
		name = c.name
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("claim a schedule: %w", err)
		}
		return ownFault(ctx, tx, d.settleTicks(ctx, tx, c))
	})
	return name, err
}

func (d *Dispatcher) settleTicks(ctx context.Context, tx pgx.Tx, c claimed) error {
	schedule, err := ParseSpec(c.spec, c.timezone)
	if err != nil {
		return err
	}
	args, err := guard(func() (river.JobArgs, error) { return d.Decode(c.kind, c.encoded) })
	if err != nil {
		return err
	}
	todo := settle(schedule, c.policy, c.firstTick(schedule), c.now)
	if !storable(todo.next) {
		return fmt.Errorf("its next tick is in the year %d, beyond what can be stored; does schedule_runs hold a tick of the far future?", todo.next.UTC().Year())
	}
	for _, tick := range todo.run {
		if err := d.enqueue(ctx, tx, c, args, tick); err != nil {
			return err
		}
	}
	return c.record(ctx, tx, todo)
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
		return err
	}
	opts := &river.InsertOpts{}
	if start := postponed(c.name, tick, c.jitter); start.After(c.now) {
		opts.ScheduledAt = start
	}
	job, err := d.Jobs.InsertTx(ctx, tx, args, opts)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	outcome := OutcomeEnqueued
	if job.UniqueSkippedAsDuplicate { // the job of an earlier tick is not finished: this one adds none
		outcome = OutcomeSkipped
	}
	if _, err := tx.Exec(ctx, ranSQL, c.name, tick, job.Job.ID, outcome, c.now); err != nil {
		return fmt.Errorf("record: %w", err)
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

// faultError is an error that came from no server: the database was well when it was met.
type faultError struct{ error }

func (e faultError) Unwrap() error { return e.error }

// ownFault tells what a schedule itself is to blame for, such as its spec, from a connection that is gone: then
// the transaction is, too.
func ownFault(ctx context.Context, tx pgx.Tx, err error) error {
	if err == nil || errors.As(err, new(*pgconn.PgError)) {
		return err
	}
	if _, gone := tx.Exec(ctx, probeSQL); gone != nil {
		return err
	}
	return faultError{err}
}

// blame answers what stands in the way of one schedule, such as a job that can never be inserted, a lock that
// another transaction holds or a constraint that speaks up at commit, and nil for a database that is away, which
// is no schedule's fault.
func blame(schedule string, err error) *brokenError {
	var refused *pgconn.PgError
	switch {
	case schedule == "":
		return nil
	case errors.As(err, new(faultError)):
		return &brokenError{schedule, err, retryBroken}
	case !errors.As(err, &refused) || aboutServer(refused.Code):
		return nil
	case aboutOthers(refused.Code):
		return &brokenError{schedule, fmt.Errorf("another transaction is in the way: %w", refused), retryLocked}
	}
	return &brokenError{schedule, err, retryBroken}
}

// aboutServer tells the codes that say nothing about a schedule; see appendix A of the manual of Postgres.
func aboutServer(code string) bool {
	switch code {
	case "25006", "57P01", "57P02", "57P03", "57P04", "57P05": // a standby, a server that starts or stops, a database dropped, idle for too long
		return true
	}
	return slices.ContainsFunc([]string{"08", "53", "58", "XX"}, func(class string) bool { // connection, resources, system, corruption
		return strings.HasPrefix(code, class)
	})
}

// aboutOthers tells the codes by which Postgres gives way to another transaction: those that pass.
func aboutOthers(code string) bool {
	return slices.Contains([]string{"55P03", "40P01", "40001"}, code) // lock_not_available, deadlock_detected, serialization_failure
}

// record writes down the ticks without jobs and moves the schedule on.
func (c *claimed) record(ctx context.Context, tx pgx.Tx, done settlement) error {
	if !done.gapUntil.IsZero() {
		if _, err := tx.Exec(ctx, gapSQL, c.name, done.gapFrom, done.gapUntil, gapOutage, c.now); err != nil {
			return fmt.Errorf("record the gap: %w", err)
		}
	}
	if len(done.skip) > 0 {
		if _, err := tx.Exec(ctx, skippedSQL, c.name, done.skip, c.now); err != nil {
			return fmt.Errorf("record skipped ticks: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, advanceSQL, c.name, done.next); err != nil {
		return fmt.Errorf("move on: %w", err)
	}
	return nil
}
