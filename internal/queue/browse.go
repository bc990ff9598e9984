package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/postgres"
)

// How many jobs a page of a list holds.
const (
	DefaultJobs = 50
	MaxJobs     = 1000
)

// Job is a job as it stands in the table; times are UTC.
type Job struct {
	ID          int64           `json:"id"`
	Kind        string          `json:"kind"`
	Queue       string          `json:"queue"`
	State       string          `json:"state"`
	Attempt     int             `json:"attempt"` // how many have begun
	MaxAttempts int             `json:"max_attempts"`
	Priority    int             `json:"priority"` // 1 (first) to 4 (last)
	Args        json.RawMessage `json:"args"`
	CreatedAt   time.Time       `json:"created_at"`
	ScheduledAt time.Time       `json:"scheduled_at"` // not before this
	AttemptedAt *time.Time      `json:"attempted_at"` // begin of the latest attempt
	FinalizedAt *time.Time      `json:"finalized_at"`
	AttemptedBy []string        `json:"attempted_by"` // the worker processes, the latest last
	Errors      []JobError      `json:"errors"`       // the latest last
}

// JobError is why an attempt failed.
type JobError struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Error   string    `json:"error"`
}

// JobFilter says which jobs to list. Zero values leave a field out.
type JobFilter struct {
	Kind, Queue, State string
	After              int64 // the id that the last page ended with; 0: from the newest
	Limit              int   // at most MaxJobs; 0: DefaultJobs
}

const jobColumns = ` id, kind, queue, state::text, attempt, max_attempts, priority, args, created_at, scheduled_at,
       attempted_at, finalized_at, coalesce(attempted_by, '{}'), coalesce(array_to_json(errors), '[]')`

const selectJob = jobColumns + `
  from river_job`

// jobsWindow is how many jobs one page looks at.
const jobsWindow = 20_000

// The window is bounded before the filters are asked: a filter that nothing matches would read to the end.
const listJobsSQL = `
select /* queue.ListJobs */` + jobColumns + `
  from (select * from river_job where id < $4 order by id desc limit $6) as newest
 where ($1 = '' or kind = $1)
   and ($2 = '' or queue = $2)
   and ($3 = '' or state = $3::text::river_job_state)
 order by id desc
 limit $5`

const jobsLookedAtSQL = `
select /* queue.ListJobs */ coalesce(min(id), 0), count(*)
  from (select id from river_job where id < $1 order by id desc limit $2) looked_at`

// ListJobs answers jobs, the newest first, among the 20,000 after f.After. next is the id to go on after, 0
// when that was all: a page may hold few jobs, or none, and still have a next. ErrInvalid: no job can be in
// that state, or the limit is out of range.
func ListJobs(ctx context.Context, db postgres.DB, f JobFilter) (found []Job, next int64, err error) {
	if f.State != "" && !slices.Contains(JobStates(), f.State) {
		return nil, 0, say(ErrInvalid, "state", "state %q is unknown; use %s", f.State, strings.Join(JobStates(), ", "))
	}
	if f.Limit < 0 || f.Limit > MaxJobs {
		return nil, 0, say(ErrInvalid, "limit", "limit %d is out of range; use 1 to %d", f.Limit, MaxJobs)
	}
	if f.Limit == 0 {
		f.Limit = DefaultJobs
	}
	if f.After <= 0 {
		f.After = math.MaxInt64
	}
	var oldest, looked int64
	batch := &pgx.Batch{}
	batch.Queue(listJobsSQL, f.Kind, f.Queue, f.State, f.After, f.Limit, jobsWindow).Query(func(rows pgx.Rows) error {
		found, err = pgx.CollectRows(rows, rowToJob)
		return err
	})
	batch.Queue(jobsLookedAtSQL, f.After, jobsWindow).QueryRow(func(row pgx.Row) error { return row.Scan(&oldest, &looked) })
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("list jobs: %w", err)
	}
	switch {
	case len(found) == f.Limit:
		next = found[f.Limit-1].ID
	case looked == jobsWindow:
		next = oldest
	}
	return found, next, nil
}

const getJobSQL = `
select /* queue.GetJob */` + selectJob + `
 where id = $1`

// GetJob answers one job, or ErrNotFound.
func GetJob(ctx context.Context, db postgres.DB, id int64) (Job, error) {
	rows, err := db.Query(ctx, getJobSQL, id)
	if err != nil {
		return Job{}, fmt.Errorf("get job %d: %w", id, err)
	}
	job, err := pgx.CollectExactlyOneRow(rows, rowToJob)
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, noJob(id)
	}
	if err != nil {
		return Job{}, fmt.Errorf("get job %d: %w", id, err)
	}
	return job, nil
}

// rowToJob reads the columns of selectJob.
func rowToJob(row pgx.CollectableRow) (Job, error) {
	var j Job
	err := row.Scan(&j.ID, &j.Kind, &j.Queue, &j.State, &j.Attempt, &j.MaxAttempts, &j.Priority, &j.Args, &j.CreatedAt, &j.ScheduledAt,
		&j.AttemptedAt, &j.FinalizedAt, &j.AttemptedBy, &j.Errors)
	j.CreatedAt, j.ScheduledAt = j.CreatedAt.UTC(), j.ScheduledAt.UTC()
	j.AttemptedAt, j.FinalizedAt = inUTC(j.AttemptedAt), inUTC(j.FinalizedAt)
	for i := range j.Errors {
		j.Errors[i].At = j.Errors[i].At.UTC()
	}
	return j, err
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moved := t.UTC()
	return &moved
}

// JobStates are the states a job can be in.
func JobStates() []string {
	var names []string
	for _, state := range rivertype.JobStates() {
		names = append(names, string(state))
	}
	return names
}

// Event is one thing that happened to a job.
type Event struct {
	At      time.Time `json:"at"`
	Event   string    `json:"event"`             // created, scheduled, began, failed, completed, cancelled or discarded
	Attempt int       `json:"attempt,omitempty"` // where it is about one
	Detail  string    `json:"detail,omitempty"`
}

// Timeline is what is known of a job's life, in order. Of its attempts the table keeps the begin of the
// latest and the end of those that failed.
func (j Job) Timeline() []Event {
	events := []Event{{At: j.CreatedAt, Event: "created"}}
	for _, failed := range j.Errors {
		events = append(events, Event{At: failed.At, Event: "failed", Attempt: failed.Attempt, Detail: failed.Error})
	}
	if j.AttemptedAt != nil {
		began := Event{At: *j.AttemptedAt, Event: "began", Attempt: j.Attempt}
		if n := len(j.AttemptedBy); n > 0 {
			began.Detail = j.AttemptedBy[n-1]
		}
		events = append(events, began)
	}
	if j.FinalizedAt != nil {
		events = append(events, Event{At: *j.FinalizedAt, Event: j.State, Attempt: j.Attempt})
	} else if j.State != string(rivertype.JobStateRunning) && j.ScheduledAt.After(j.CreatedAt) { // later than at once, or again
		events = append(events, Event{At: j.ScheduledAt, Event: "scheduled"})
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events
}
