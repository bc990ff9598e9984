package periodic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// Channel is notified when a schedule is added, changed, paused or resumed.
const Channel = "backoffice_schedules"

// Dispatcher enqueues what is due. Every worker process runs one; they share the rows of schedules.
type Dispatcher struct {
	Pool   *pgxpool.Pool
	Jobs   jobs.Enqueuer
	Decode func(kind string, args []byte) (river.JobArgs, error)
	Log    *slog.Logger

	Wake <-chan struct{}  // something was sent on Channel; nil: nobody listens, and changes are looked for every second
	Now  func() time.Time // a test's clock; nil: the database's, which all processes share
}

const (
	// pollAlone is how long a change may go unnoticed where nobody tells of it, and how soon an error is
	// followed by another try.
	pollAlone = time.Second
	// pollWoken is the same where a notification tells, were it lost.
	pollWoken = 5 * time.Second
	// retryBroken is how often a schedule is tried again that could not be dispatched.
	retryBroken = 30 * time.Second
)

// Run dispatches until ctx ends: it sleeps until the next tick, or until Wake tells of a change. An error is
// logged, and tried again: the ticks wait in the table.
func (d *Dispatcher) Run(ctx context.Context) {
	longest, failing := pollAlone, false
	if d.Wake != nil {
		longest = pollWoken
	}
	for {
		sleep := longest
		next, err := d.Dispatch(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			sleep = pollAlone
			if !failing {
				d.Log.ErrorContext(ctx, "timetable not dispatched", "error", err)
			}
		case next >= 0:
			sleep = min(next, longest)
		}
		if failing && err == nil {
			d.Log.InfoContext(ctx, "timetable dispatched again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-d.Wake:
		case <-time.After(sleep):
		}
	}
}

// A schedule that could not be dispatched is due again once it may be tried again.
const nextTickSQL = `
select /* periodic.Dispatch */
       min(greatest(next_run_at, last_error_at + $2::interval)) - coalesce($1::timestamptz, clock_timestamp())
  from schedules
 where paused_at is null`

// none is Dispatch's answer when no tick is to come.
const none = time.Duration(-1)

// heldPause is how long to leave alone what is due and another process has in hand.
const heldPause = 50 * time.Millisecond

// Dispatch enqueues every tick that is due and answers how long it is until the next one, below zero if
// there is none. A schedule that cannot be dispatched, by its spec or its args, is logged, shows why in
// inspect.schedules, and holds up no other.
func (d *Dispatcher) Dispatch(ctx context.Context) (time.Duration, error) {
	for {
		left, err := d.untilNext(ctx)
		if err != nil || left != 0 {
			return left, err
		}
		claimed := false
		err = postgres.InTx(ctx, d.Pool, func(tx pgx.Tx) (err error) {
			claimed, err = d.claim(ctx, tx)
			return err
		})
		broken := (*brokenError)(nil)
		switch {
		case errors.As(err, &broken):
			if err := d.note(ctx, broken); err != nil {
				return none, err
			}
		case err != nil:
			return none, err
		case !claimed:
			return heldPause, nil
		}
	}
}

// untilNext is how long it is until the next tick: zero if one is due, below zero if there is none.
func (d *Dispatcher) untilNext(ctx context.Context) (time.Duration, error) {
	var left *time.Duration
	if err := d.Pool.QueryRow(ctx, nextTickSQL, d.clock(), retryBroken).Scan(&left); err != nil {
		return none, fmt.Errorf("read the next tick: %w", err)
	}
	if left == nil {
		return none, nil
	}
	return max(*left, 0), nil
}

// clock is the instant to go by, nil for the database's own.
func (d *Dispatcher) clock() *time.Time {
	if d.Now == nil {
		return nil
	}
	now := d.Now()
	return &now
}

// brokenError says why the ticks of a schedule cannot be enqueued.
type brokenError struct {
	schedule string
	cause    error
}

func (e *brokenError) Unwrap() error { return e.cause }
func (e *brokenError) Error() string { return fmt.Sprintf("schedule %q: %v", e.schedule, e.cause) }

const noteSQL = `
  with before as (
select name, last_error
  from schedules
 where name = $1
   for update)
update /* periodic.note */ schedules
   set last_error = $2,
       last_error_at = coalesce($3::timestamptz, now())
  from before
 where schedules.name = before.name
returning before.last_error is distinct from $2`

// note keeps why a schedule cannot be dispatched, and logs it once: every process meets it again and again.
func (d *Dispatcher) note(ctx context.Context, broken *brokenError) error {
	var fresh bool
	reason := brief(broken.cause.Error())
	err := d.Pool.QueryRow(ctx, noteSQL, broken.schedule, reason, d.clock()).Scan(&fresh)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it was removed meanwhile
		return nil
	case err != nil:
		return fmt.Errorf("note why schedule %q is not dispatched (%s): %w", broken.schedule, reason, err)
	case fresh:
		d.Log.ErrorContext(ctx, "schedule not dispatched", "schedule", broken.schedule, "error", broken.cause)
	}
	return nil
}

// refusedByData says whether Postgres itself is well and refused what a schedule wants it to store.
func refusedByData(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || len(refused.Code) < 2 {
		return false
	}
	class := refused.Code[:2]
	return class == "22" || class == "23" // data exceptions, constraints
}
