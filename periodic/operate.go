package periodic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"backoffice/jobs"
)

// Operator changes the timetable of a database. Each of its methods works in the caller's transaction,
// which is to be rolled back after an error.
type Operator struct {
	Jobs   jobs.Enqueuer
	Decode func(kind string, args []byte) (river.JobArgs, error)

	Now func() time.Time // a test's clock; nil: the database's
}

func (o Operator) clock(ctx context.Context, tx pgx.Tx) (time.Time, error) {
	if o.Now == nil {
		return read(ctx, tx, nil)
	}
	now := o.Now()
	return read(ctx, tx, &now)
}

// Draft is a schedule that an operator wants to add.
type Draft struct {
	Name     string
	Kind     string
	Args     json.RawMessage // empty: {}
	Spec     string          // see ParseSpec
	Timezone string          // empty: UTC
	CatchUp  CatchUp         // empty: latest
	Jitter   time.Duration   // whole seconds, up to an hour
	Paused   bool
}

const (
	longestName   = 64
	longestJitter = time.Hour
)

// nameForm keeps names fit for a path, a log and a command line.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$`)

// check says what is wrong with a draft, and fills in what was left out.
func (o Operator) check(d *Draft, now time.Time) (river.PeriodicSchedule, error) {
	if len(d.Name) > longestName || !nameForm.MatchString(d.Name) {
		return nil, say(ErrInvalid, "name", "name %.100q is unusable; take up to %d letters and digits, in words joined by - or _", d.Name, longestName)
	}
	if len(d.Args) == 0 {
		d.Args = json.RawMessage("{}")
	}
	if d.Timezone == "" {
		d.Timezone = "UTC"
	}
	if d.CatchUp == "" {
		d.CatchUp = CatchUpLatest
	}
	if d.CatchUp != CatchUpAll && d.CatchUp != CatchUpLatest && d.CatchUp != CatchUpSkip {
		return nil, say(ErrInvalid, "catch_up", "catch-up %.100q is unknown; use all, latest or skip", d.CatchUp)
	}
	if d.Jitter < 0 || d.Jitter > longestJitter || d.Jitter%time.Second != 0 {
		return nil, say(ErrInvalid, "jitter_seconds", "jitter %s is out of range; take whole seconds from 0s to 1h", d.Jitter)
	}
	if _, err := o.args(d.Kind, d.Args, now); err != nil {
		return nil, say(ErrInvalid, "args", "%s", err)
	}
	return ParseSpec(d.Spec, d.Timezone)
}

// args are those of a job that is enqueued at an instant.
func (o Operator) args(kind string, encoded []byte, at time.Time) (river.JobArgs, error) {
	args, err := guard(func() (river.JobArgs, error) { return o.Decode(kind, encoded) })
	if err != nil {
		return nil, err
	}
	return resolve(args, at)
}

const addSQL = `
insert /* periodic.Add */ into schedules (name, kind, args, spec, timezone, catch_up, jitter, next_run_at, created_at, changed_at, paused_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, case when $10 then $9::timestamptz end)`

// Add adds a schedule of an operator's own; its first tick is the next one. ErrInvalid: a field is
// unusable, see FieldOf; ErrExists: there is one of that name.
func (o Operator) Add(ctx context.Context, tx pgx.Tx, d Draft) (Schedule, error) {
	now, err := o.clock(ctx, tx)
	if err != nil {
		return Schedule{}, err
	}
	schedule, err := o.check(&d, now)
	if err != nil {
		return Schedule{}, err
	}
	_, err = tx.Exec(ctx, addSQL, d.Name, d.Kind, string(d.Args), d.Spec, d.Timezone, d.CatchUp, d.Jitter, schedule.Next(now), now, d.Paused)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == "23505": // unique_violation
		return Schedule{}, say(ErrExists, "name", "a schedule named %q exists; remove it first or take another name", d.Name)
	case errors.As(err, &refused) && slices.Contains([]string{"22", "23"}, refused.Code[:2]): // data, constraints
		return Schedule{}, say(ErrInvalid, "args", "args: Postgres does not store them: %s", err)
	case err != nil:
		return Schedule{}, fmt.Errorf("add schedule %q: %w", d.Name, err)
	}
	return Get(ctx, tx, d.Name)
}

const lockSQL = `
select /* periodic.lock */ kind, args, spec, timezone, built_in, paused_at is not null, next_run_at
  from schedules
 where name = $1
   for update`

// locked is what a change wants to know of a schedule, whose row is locked.
type locked struct {
	kind              string
	encoded           []byte // args
	spec, timezone    string
	builtIn, isPaused bool
	nextRunAt         time.Time
}

func lock(ctx context.Context, tx pgx.Tx, name string) (s locked, err error) {
	err = tx.QueryRow(ctx, lockSQL, name).Scan(&s.kind, &s.encoded, &s.spec, &s.timezone, &s.builtIn, &s.isPaused, &s.nextRunAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, noSchedule(name)
	}
	if err != nil {
		return s, fmt.Errorf("lock schedule %q: %w", name, err)
	}
	return s, nil
}

const removeSQL = `
delete /* periodic.Remove */ from schedules
 where name = $1`

// Remove removes a schedule of an operator's own, and answers it as it stood; its ledger stays, and so do
// jobs that it has enqueued. ErrNotFound; ErrBuiltIn: pause it instead.
func (o Operator) Remove(ctx context.Context, tx pgx.Tx, name string) (Schedule, error) {
	s, err := lock(ctx, tx, name)
	if err != nil {
		return Schedule{}, err
	}
	if s.builtIn {
		return Schedule{}, say(ErrBuiltIn, "", "schedule %q is the program's own and would be back at its next start; pause it instead", name)
	}
	found, err := Get(ctx, tx, name)
	if err != nil {
		return Schedule{}, err
	}
	if _, err := tx.Exec(ctx, removeSQL, name); err != nil {
		return Schedule{}, fmt.Errorf("remove schedule %q: %w", name, err)
	}
	return found, nil
}

const pauseSQL = `
update /* periodic.Pause */ schedules
   set paused_at = $2
 where name = $1`

// Pause keeps a schedule from enqueuing anything until it is resumed; jobs that it has enqueued are worked.
// Pausing a paused one changes nothing. ErrNotFound.
func (o Operator) Pause(ctx context.Context, tx pgx.Tx, name string) (Schedule, error) {
	s, err := lock(ctx, tx, name)
	if err != nil {
		return Schedule{}, err
	}
	if !s.isPaused {
		now, err := o.clock(ctx, tx)
		if err != nil {
			return Schedule{}, err
		}
		if _, err := tx.Exec(ctx, pauseSQL, name, now); err != nil {
			return Schedule{}, fmt.Errorf("pause schedule %q: %w", name, err)
		}
	}
	return Get(ctx, tx, name)
}

const resumeSQL = `
update /* periodic.Resume */ schedules
   set paused_at = null,
       next_run_at = $2,
       last_error = null,
       last_error_at = null,
       retry_at = null
 where name = $1`

// The causes of a gap in the ledger.
const (
	gapPaused = "paused"
	gapOutage = "outage"
)

// Resume ends a pause: the first tick is the next one. What came due during the pause is not made up for,
// nor what nobody had dispatched when it began, whatever the catch-up policy. Resuming what is not paused
// changes nothing. ErrNotFound; ErrBroken: plain SQL has given it a spec or a timezone that cannot be read.
func (o Operator) Resume(ctx context.Context, tx pgx.Tx, name string) (Schedule, error) {
	s, err := lock(ctx, tx, name)
	if err != nil {
		return Schedule{}, err
	}
	if !s.isPaused {
		return Get(ctx, tx, name)
	}
	now, err := o.clock(ctx, tx)
	if err != nil {
		return Schedule{}, err
	}
	schedule, err := ParseSpec(s.spec, s.timezone)
	if err != nil {
		return Schedule{}, say(ErrBroken, "", "schedule %q cannot be resumed: %s", name, err)
	}
	next := schedule.Next(now)
	if s.nextRunAt.Before(next) {
		if _, err := tx.Exec(ctx, gapSQL, name, s.nextRunAt, next, gapPaused, now); err != nil {
			return Schedule{}, fmt.Errorf("record the pause of schedule %q: %w", name, err)
		}
	}
	if _, err := tx.Exec(ctx, resumeSQL, name, next); err != nil {
		return Schedule{}, fmt.Errorf("resume schedule %q: %w", name, err)
	}
	return Get(ctx, tx, name)
}

// Enqueued is the job that RunNow has enqueued, or found.
type Enqueued struct {
	JobID       int64     `json:"job_id"`
	Kind        string    `json:"kind"`
	Queue       string    `json:"queue"`
	State       string    `json:"state"`
	ScheduledAt time.Time `json:"scheduled_at"`
	Duplicate   bool      `json:"duplicate"` // an unfinished job for the same thing was there already; this is it
}

// RunNow enqueues the job of a schedule as if this were a tick of it, paused or not. It is no tick: the
// ledger does not hold it, and the next tick stays where it is. ErrNotFound; ErrBroken: its kind or args
// are unusable.
func (o Operator) RunNow(ctx context.Context, tx pgx.Tx, name string) (Enqueued, error) {
	s, err := lock(ctx, tx, name)
	if err != nil {
		return Enqueued{}, err
	}
	now, err := o.clock(ctx, tx)
	if err != nil {
		return Enqueued{}, err
	}
	args, err := o.args(s.kind, s.encoded, now)
	if err != nil {
		return Enqueued{}, say(ErrBroken, "", "schedule %q cannot be enqueued: %s", name, err)
	}
	inserted, err := o.Jobs.InsertTx(ctx, tx, args, nil)
	if err != nil {
		return Enqueued{}, fmt.Errorf("enqueue schedule %q: %w", name, err)
	}
	job := inserted.Job
	return Enqueued{
		JobID: job.ID, Kind: job.Kind, Queue: job.Queue, State: string(job.State), ScheduledAt: job.ScheduledAt.UTC(),
		Duplicate: inserted.UniqueSkippedAsDuplicate,
	}, nil
}
