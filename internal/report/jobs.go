package report

import (
	"context"
	"fmt"

	"backoffice/internal/report/render"
)

// jobRuns tells how the queue worked in a period, by kind and hour. What counts as what:
//
// A job counts in the hour in which it reached its final state: completed, cancelled or discarded. Failed
// attempts are those of these jobs, whenever they failed. Wait is from when the last attempt was due to its
// begin, run from there to the end. A percentile is the time that so many of a hundred jobs did not exceed,
// to three significant digits. Jobs that are deleted after their retention cannot be counted any more.
var jobRuns = Type{
	Name:  "jobs",
	Title: "Jobs",
	About: "Jobs that ended in a period, by kind and hour: completed, cancelled, discarded, failed attempts, and how long they waited and ran (p50, p95, p99).",

	Version: 1,
	Formats: []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX, render.FormatPDF, render.FormatHTML},
	Driver:  DriverJobs,

	NewParams: func() Params { return &JobsParams{} },
	Build:     buildJobRuns,
}

// JobsParams are what a report on jobs can be asked for with.
type JobsParams struct {
	Period        // by the day a job ended; both ends are needed
	Kind   string `json:"kind,omitempty" doc:"of the jobs, such as process_order; all if not given"`
}

// Complete fills in the defaults and refuses what cannot be told.
func (p *JobsParams) Complete() error {
	if err := p.Period.closed(); err != nil {
		return err
	}
	return checkText("kind", p.Kind)
}

func buildJobRuns(ctx context.Context, src *Source) (*render.Document, error) {
	params := src.Params.(*JobsParams)
	found, err := readJobRuns(ctx, src, params)
	if err != nil {
		return nil, fmt.Errorf("sum up jobs: %w", err)
	}
	return found.document(params, src), nil
}
