package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/urfave/cli/v2"
)

// job is a job as the command line shows it.
type job struct {
	ID          int64              `json:"id"`
	Kind        string             `json:"kind"`
	Queue       string             `json:"queue"`
	State       rivertype.JobState `json:"state"`
	Attempt     int                `json:"attempt"`
	MaxAttempts int                `json:"max_attempts"`
	Priority    int                `json:"priority"`
	Args        json.RawMessage    `json:"args"`
	CreatedAt   time.Time          `json:"created_at"`
	ScheduledAt time.Time          `json:"scheduled_at"`
	AttemptedAt *time.Time         `json:"attempted_at"`
	FinalizedAt *time.Time         `json:"finalized_at"`
	AttemptedBy []string           `json:"attempted_by"` // the worker processes, the latest last
	Errors      []jobError         `json:"errors"`       // one per failed attempt, the latest last
}

type jobError struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Error   string    `json:"error"`
	Trace   string    `json:"trace,omitempty"`
}

func jobOf(row *rivertype.JobRow) job {
	shown := job{
		ID: row.ID, Kind: row.Kind, Queue: row.Queue, State: row.State, Attempt: row.Attempt, MaxAttempts: row.MaxAttempts,
		Priority: row.Priority, Args: row.EncodedArgs, CreatedAt: row.CreatedAt.UTC(), ScheduledAt: row.ScheduledAt.UTC(),
		AttemptedAt: utc(row.AttemptedAt), FinalizedAt: utc(row.FinalizedAt),
		AttemptedBy: append([]string{}, row.AttemptedBy...), Errors: []jobError{},
	}
	for _, e := range row.Errors {
		shown.Errors = append(shown.Errors, jobError{Attempt: e.Attempt, At: e.At.UTC(), Error: e.Error, Trace: e.Trace})
	}
	return shown
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moved := t.UTC()
	return &moved
}

func (j job) lastError() string {
	if len(j.Errors) == 0 {
		return ""
	}
	return j.Errors[len(j.Errors)-1].Error
}

// compactArgs is the JSON of the args on one line.
func (j job) compactArgs() string {
	var compact bytes.Buffer
	if json.Compact(&compact, j.Args) != nil {
		return string(j.Args)
	}
	return compact.String()
}

func printJobs(c *cli.Context, rows []*rivertype.JobRow) error {
	var shown []job
	t := newTable(">ID", "KIND", "QUEUE", "STATE", "ATTEMPT", "ARGS", "SCHEDULED_AT", "FINALIZED_AT", "LAST_ERROR")
	for _, row := range rows {
		j := jobOf(row)
		shown = append(shown, j)
		t.add(j.ID, j.Kind, j.Queue, j.State, fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempts),
			brief(j.compactArgs(), 60), j.ScheduledAt, j.FinalizedAt, brief(j.lastError(), 80))
	}
	return printRows(c, shown, t, "no such jobs")
}

func printJob(c *cli.Context, row *rivertype.JobRow) error {
	j := jobOf(row)
	if wantsJSON(c) {
		return printJSON(c, j)
	}
	facts := newTable("", "")
	facts.add("id", j.ID)
	facts.add("kind", j.Kind)
	facts.add("queue", fmt.Sprintf("%s, priority %d", j.Queue, j.Priority))
	facts.add("state", j.State)
	facts.add("attempt", fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempts))
	facts.add("args", j.compactArgs())
	facts.add("created_at", j.CreatedAt)
	facts.add("scheduled_at", j.ScheduledAt)
	facts.add("attempted_at", orElse(cell(j.AttemptedAt), "never"))
	facts.add("finalized_at", orElse(cell(j.FinalizedAt), "not yet"))
	if n := len(j.AttemptedBy); n > 0 {
		facts.add("worker", j.AttemptedBy[n-1])
	}
	if err := facts.printPlain(c.App.Writer); err != nil || len(j.Errors) == 0 {
		return err
	}
	failures := newTable(">ATTEMPT", "AT", "ERROR")
	for _, e := range j.Errors {
		failures.add(e.Attempt, e.At, e.Error)
	}
	if err := printf(c, "\nerrors\n"); err != nil {
		return err
	}
	return failures.print(c.App.Writer, "  ", "")
}
