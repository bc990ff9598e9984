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

	poll time.Duration // a test's own pollAlone or pollWoken; zero: theirs
	held time.Duration // how long what is due, and in other hands, was left alone last
}

const (
	// pollAlone is how long a change may go unnoticed where nobody tells of it, and how soon an error is
	// followed by another try.
	pollAlone = time.Second
	// pollWoken is the same where a notification tells, were it lost.
	pollWoken = 5 * time.Second
	// retryBroken is how often a schedule is tried again that could not be dispatched.
	retryBroken = 30 * time.Second
	// retryLocked is the same where a lock was in the way: a tick should not be half a minute late because
	// of a transaction that took half a second.
	retryLocked = time.Second
)

// Run dispatches until ctx ends: it sleeps until the next tick, or until Wake tells of a change. An error is
// logged, and tried again: the ticks wait in the table.
func (d *Dispatcher) Run(ctx context.Context) {
	longest, failing := pollAlone, false
	if d.Wake != nil {
		longest = pollWoken
	}
	if d.poll > 0 {
		longest = d.poll
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

// none is Dispatch's answer when no tick is to come.
const none = time.Duration(-1)

// heldPause is how long to leave alone at first what is due and another process has in hand. It doubles up to
// pollAlone: in other hands may be an open transaction that somebody has forgotten.
const heldPause = 50 * time.Millisecond

// Dispatch enqueues every tick that is due and answers how long it is until the next one, a day at most, and
// below zero if there is none. A schedule that cannot be dispatched, by its spec or its args, is logged, shows
// why in inspect.schedules, and holds up no other.
func (d *Dispatcher) Dispatch(ctx context.Context) (time.Duration, error) {
	for {
		left, later, err := d.untilNext(ctx)
		if err != nil {
			return left, err
		}
		if left != 0 {
			d.held = 0
			return left, nil
		}
		name, err := d.claim(ctx)
		switch broken := blame(name, err); {
		case broken != nil:
			if err := d.note(ctx, broken); err != nil {
				return none, err
			}
		case err != nil:
			return none, err
		case name == "":
			d.held = min(max(2*d.held, heldPause), pollAlone)
			return min(d.held, later), nil
		}
	}
}

// A schedule that could not be dispatched is due again once it may be tried again. A Duration does not hold the
// time until any instant that a row may name, so the answers are a day at most.
const nextTickSQL = `
select /* periodic.Dispatch */
       greatest(least(min(due.at) - clock.now, interval '1 day'), '0'),
       least(min(due.at) filter (where due.at > clock.now) - clock.now, interval '1 day')
  from (select coalesce($1::timestamptz, clock_timestamp()) as now) clock
 cross join schedules
 cross join lateral (select greatest(schedules.next_run_at, schedules.retry_at) as at) due
 where schedules.paused_at is null
 group by clock.now`

// untilNext is how long it is until the next tick, zero if one is due and below zero if there is none, and how
// long until the next one that is not due yet.
func (d *Dispatcher) untilNext(ctx context.Context) (left, later time.Duration, err error) {
	err = d.Pool.QueryRow(ctx, nextTickSQL, d.clock()).Scan(&left, &later)
	if errors.Is(err, pgx.ErrNoRows) {
		return none, none, nil
	}
	if err != nil {
		return none, none, fmt.Errorf("read the next tick: %w", err)
	}
	return left, later, nil
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
	retry    time.Duration // how soon to try again
}

func (e *brokenError) Unwrap() error { return e.cause }
func (e *brokenError) Error() string { return fmt.Sprintf("schedule %q: %v", e.schedule, e.cause) }

// Whoever has the row in hand now notes what he meets himself.
const noteSQL = `
  with before as (
select name, last_error
  from schedules
 where name = $1
   for update skip locked)
update /* periodic.note */ schedules
   set last_error = $2,
       last_error_at = coalesce($3::timestamptz, now()),
       retry_at = coalesce($3::timestamptz, now()) + $4::interval
  from before
 where schedules.name = before.name
returning before.last_error is distinct from $2`

// note keeps why a schedule cannot be dispatched, and logs it once: every process meets it again and again.
func (d *Dispatcher) note(ctx context.Context, broken *brokenError) error {
	var fresh bool
	reason := brief(broken.cause.Error())
	err := d.Pool.QueryRow(ctx, noteSQL, broken.schedule, reason, d.clock(), broken.retry).Scan(&fresh)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it was removed meanwhile, or is in other hands
		return nil
	case err != nil:
		return fmt.Errorf("note why schedule %q is not dispatched (%s): %w", broken.schedule, reason, err)
	case fresh:
		d.Log.ErrorContext(ctx, "schedule not dispatched", "schedule", broken.schedule, "error", broken.cause)
	}
	return nil
}
