package periodic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Schedule is a line of the timetable as it stands. The order of the fields is that of the columns of its
// query; times are UTC.
type Schedule struct {
	Name          string          `json:"name"`
	Kind          string          `json:"kind" doc:"Of the jobs that it enqueues; see /api/kinds."`
	Args          json.RawMessage `json:"args" doc:"Of these jobs; what depends on the tick is resolved at each."`
	Spec          string          `json:"spec" doc:"A cron line, a name such as @daily, or an interval such as every 30s."`
	Timezone      string          `json:"timezone" doc:"In which a cron line is read."`
	CatchUp       CatchUp         `json:"catch_up" doc:"What becomes of ticks that no worker process was there for."`
	JitterSeconds int             `json:"jitter_seconds" doc:"A tick's job starts up to this much later."`
	BuiltIn       bool            `json:"built_in" doc:"The program brings it along; it can be paused, not removed."`
	PausedAt      *time.Time      `json:"paused_at" doc:"null: it is not paused."`
	NextRunAt     *time.Time      `json:"next_run_at" doc:"The first tick that is not settled; null while it is paused."`
	Overdue       *time.Duration  `json:"-"`
	LastTickAt    *time.Time      `json:"last_tick_at" doc:"The last tick that is settled; null: none is."`
	LastOutcome   string          `json:"last_outcome,omitempty" doc:"Of the last tick."`
	LastJobID     *int64          `json:"last_job_id" doc:"The job of that tick, or the unfinished one that it would have repeated; null: it was missed."`
	LastJobState  string          `json:"last_job_state,omitempty" doc:"Absent: there is no job, or it was deleted after its retention."`
	Missed        int             `json:"missed" doc:"Ticks of the last 7 days that were missed and not caught up; 1000 is 1000 or more."`
	Error         string          `json:"error,omitempty" doc:"Why its ticks cannot be enqueued; absent: they can."`
	ErrorAt       *time.Time      `json:"error_at" doc:"When that was found last."`
}

// No Duration is as long as a schedule may be overdue that plain SQL has set back: a century says enough.
const scheduleColumns = `name, kind, args::text, spec, timezone, catch_up, jitter_seconds, built_in, paused_at, next_run_at,
       case when overdue > interval '36500 days' then interval '36500 days' else overdue end,
       last_tick_at, coalesce(last_outcome, ''), last_job_id, coalesce(last_job_state::text, ''), missed, coalesce(last_error, ''), last_error_at`

const listSQL = `
select /* periodic.List */ ` + scheduleColumns + `
  from inspect.schedules
 order by name
 limit $1`

const getSQL = `
select /* periodic.Get */ ` + scheduleColumns + `
  from inspect.schedules
 where name = $1`

// MaxListed bounds a list of schedules: more than a person reads.
const MaxListed = 1000

// List answers the schedules by name, at most limit of them.
func List(ctx context.Context, db postgres.DB, limit int) ([]Schedule, error) {
	rows, err := db.Query(ctx, listSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Schedule])
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	for i := range found {
		found[i].inUTC()
	}
	return found, nil
}

// Get answers one schedule. ErrNotFound: there is none of that name.
func Get(ctx context.Context, db postgres.DB, name string) (Schedule, error) {
	rows, err := db.Query(ctx, getSQL, name)
	if err != nil {
		return Schedule{}, fmt.Errorf("get schedule %q: %w", name, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Schedule])
	if errors.Is(err, pgx.ErrNoRows) {
		return Schedule{}, noSchedule(name)
	}
	if err != nil {
		return Schedule{}, fmt.Errorf("get schedule %q: %w", name, err)
	}
	found.inUTC()
	return found, nil
}

func noSchedule(name string) error {
	return say(ErrNotFound, "", "schedule %.100q does not exist", name)
}

// inUTC moves every time to UTC; the driver answers local times.
func (s *Schedule) inUTC() {
	for _, at := range []*time.Time{s.PausedAt, s.NextRunAt, s.LastTickAt, s.ErrorAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
}

// What became of a tick.
const (
	OutcomeEnqueued = "enqueued"
	OutcomeSkipped  = "skipped"
)

// Run is a tick that is settled.
type Run struct {
	TickAt   time.Time `json:"tick_at"`
	Outcome  string    `json:"outcome"`
	JobID    *int64    `json:"job_id" doc:"Its job; of a skipped tick the unfinished job that it would have repeated, or null: it was missed and not caught up."`
	JobState string    `json:"job_state,omitempty" doc:"Absent: there is no job, or it was deleted after its retention."`
	At       time.Time `json:"at" doc:"When it was settled."`
}

const runsSQL = `
select /* periodic.Runs */ ran.tick_at, ran.outcome, ran.job_id, coalesce(job.state::text, ''), ran.at
  from schedule_runs ran
  left join river_job job on job.id = ran.job_id
 where ran.schedule = $1
 order by ran.tick_at desc
 limit $2`

// Runs answers the last ticks of a schedule that are settled, the latest first. Those of a schedule that
// was removed are there as long as the ledger is kept.
func Runs(ctx context.Context, db postgres.DB, name string, limit int) ([]Run, error) {
	rows, err := db.Query(ctx, runsSQL, name, limit)
	if err != nil {
		return nil, fmt.Errorf("list the runs of schedule %q: %w", name, err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Run])
	if err != nil {
		return nil, fmt.Errorf("list the runs of schedule %q: %w", name, err)
	}
	for i := range runs {
		runs[i].TickAt, runs[i].At = runs[i].TickAt.UTC(), runs[i].At.UTC()
	}
	return runs, nil
}

// storable says whether a tick lies in the years that the table and programs can hold.
func storable(tick time.Time) bool {
	year := tick.UTC().Year()
	return !tick.IsZero() && 1 <= year && year <= 9999
}

// Upcoming are the next n ticks of the schedule, from the first that is not settled on; none while it is
// paused, or when plain SQL has given it a spec that cannot be read, and fewer at the end of the year 9999.
func (s Schedule) Upcoming(n int) []time.Time {
	ticks := []time.Time{}
	if s.NextRunAt == nil {
		return ticks
	}
	schedule, err := ParseSpec(s.Spec, s.Timezone)
	if err != nil {
		return ticks
	}
	for at := s.NextRunAt.Add(-time.Microsecond); len(ticks) < n; {
		if at = schedule.Next(at); !storable(at) {
			break
		}
		ticks = append(ticks, at.UTC())
	}
	return ticks
}
