package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
)

// QueueReports is where reports wait: minutes of work that must not stand in front of an order.
const QueueReports = "reports"

// GenerateReportArgs asks for one report, which is complete or absent. The API, the CLI and the timetable
// enqueue it. Type, format and params are checked against the type by whoever enqueues, and once more
// when the job runs.
type GenerateReportArgs struct {
	Type   string          `json:"type"             river:"unique"` // sales-summary; see backoffice reports types
	Format string          `json:"format"           river:"unique"` // csv, jsonl, xlsx, pdf or html
	Params json.RawMessage `json:"params,omitempty" river:"unique"` // an object, as the type declares it
	// Period is yesterday, last-week or last-month in Timezone. It stands in a timetable only: At puts the
	// first and the last day of it into Params, so that a job never asks what day it is.
	Period   string `json:"period,omitempty"   river:"unique"`
	Timezone string `json:"timezone,omitempty" river:"unique"` // of the days, UTC if empty: Europe/London
	Force    bool   `json:"force,omitempty"    river:"unique"` // make it although the same one of the same data exists
}

// Kind is the stable name of the kind.
func (GenerateReportArgs) Kind() string { return "generate_report" }

// Contract states what is promised about generate_report.
func (a GenerateReportArgs) Contract() Contract {
	return Contract{
		Kind:        a.Kind(),
		Queue:       QueueReports,
		Timeout:     30 * time.Minute,
		MaxAttempts: 5,
		Retry:       Retry{First: 10 * time.Second, Max: 10 * time.Minute},
		Retention:   Retention{Completed: 7 * 24 * time.Hour, Failed: 30 * 24 * time.Hour},
		Harmless:    "a report's parts and its artifact are each recorded once, under the fence",
	}
}

// InsertOpts let at most one unfinished job for the same report exist: whoever asks meanwhile is answered
// with that one.
func (a GenerateReportArgs) InsertOpts() river.InsertOpts {
	opts := a.Contract().InsertOpts()
	opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	return opts
}

var (
	reportFormats = []string{"csv", "jsonl", "xlsx", "pdf", "html"}
	reportPeriods = []string{"yesterday", "last-week", "last-month"}
)

// Validate refuses what no type of report can be asked for with.
func (a GenerateReportArgs) Validate() error {
	switch {
	case a.Type == "":
		return fmt.Errorf("args: field \"type\" wants a type of report, such as sales-summary")
	case !slices.Contains(reportFormats, a.Format):
		return fmt.Errorf("args: field \"format\" wants one of %s, not %q", strings.Join(reportFormats, ", "), a.Format)
	case a.Period != "" && !slices.Contains(reportPeriods, a.Period):
		return fmt.Errorf("args: field \"period\" wants one of %s, not %q", strings.Join(reportPeriods, ", "), a.Period)
	}
	if _, err := time.LoadLocation(a.Timezone); err != nil || a.Timezone == "Local" {
		return fmt.Errorf("args: field \"timezone\" wants a name such as Europe/London, not %q", a.Timezone)
	}
	return nil
}
