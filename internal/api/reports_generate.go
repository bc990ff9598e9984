package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/report"
	"backoffice/jobs"
)

const (
	generatePath  = reportsPath + "/generate"
	generateRoute = http.MethodPost + " " + generatePath // in idempotency_keys
)

// ReportRequest is a report that is asked for.
type ReportRequest struct {
	Type     string       `json:"type" minLength:"1" maxLength:"100" doc:"See /api/reports/types." example:"sales-summary"`
	Format   string       `json:"format" enum:"csv,jsonl,xlsx,pdf,html" doc:"One that the type offers." example:"pdf"`
	Params   paramsObject `json:"params,omitempty" doc:"The type's own; see /api/reports/types. Those left out have their defaults."`
	Period   string       `json:"period,omitempty" enum:"yesterday,last-week,last-month" doc:"In place of from, to and timezone in params: days that end before today. A week begins on Monday."`
	Timezone string       `json:"timezone,omitempty" maxLength:"100" doc:"Whose days period means, UTC when left out. Without a period it stands in params."`
	Force    bool         `json:"force,omitempty" doc:"Make it although the same report of the same data exists."`
}

// RequestedReport is the report that answers a request.
type RequestedReport struct {
	Report
	Existing bool `json:"existing" doc:"It was asked for before: it is at work, or completed and of the same data as a new one would be."`
}

func (a *API) reportGenerateRoutes() {
	register(a, route{
		id: "generateReport", method: http.MethodPost, path: generatePath, tag: tagReports, scope: ScopeEnqueue, status: http.StatusAccepted,
		also: http.StatusOK, maxBody: a.MaxBody, errors: creating, answer: reflect.TypeFor[RequestedReport](),
		summary: "Ask for a report",
		about: "Everything is checked before anything is written. 202: it is queued, or the same one is at work already; follow `Location`. 200: the same one is completed and the data has not changed since; `download` says where it is. " +
			"Both have the same body, so whoever only follows `Location` need not tell them apart. `force` makes a new one in place of the 200.",
	}, a.generateReport)
	register(a, route{
		id: "listReportTypes", method: http.MethodGet, path: reportsPath + "/types", tag: tagReports, scope: ScopeRead, status: http.StatusOK,
		summary: "List the types of report", about: "What each tells, the formats it comes in, and its params with their defaults.",
	}, a.listReportTypes)
}

// requested is the answer to a request for a report, the same when it is repeated.
type requested struct {
	Status     int
	Location   string `header:"Location" doc:"Where to follow it."`
	RetryAfter string `header:"Retry-After" doc:"Seconds; absent when it is completed."`
	Replayed   string `header:"Idempotency-Replayed" doc:"true when this is the answer to an earlier request with the same key."`
	Body       json.RawMessage
}

func (a *API) generateReport(ctx context.Context, in *struct {
	Idempotent
	Body ReportRequest
}) (*requested, error) {
	args, err := report.Check(jobs.GenerateReportArgs{
		Type: in.Body.Type, Format: in.Body.Format, Params: json.RawMessage(in.Body.Params),
		Period: in.Body.Period, Timezone: in.Body.Timezone, Force: in.Body.Force,
	})
	if err != nil {
		return nil, in.Body.refused(err)
	}
	answer, err := a.once(ctx, generateRoute, in.Key, func(tx pgx.Tx) (outcome, error) {
		got, err := report.Request(ctx, tx, a.Jobs, args, a.Now())
		if err != nil {
			return outcome{}, in.Body.refused(err)
		}
		status := http.StatusAccepted
		if got.Report.Status.Final() {
			status = http.StatusOK
		}
		return outcome{status, reportPath(got.Report.ID), RequestedReport{ReportOf(got.Report), got.Existing}}, nil
	})
	if err != nil {
		return nil, err
	}
	out := &requested{Status: answer.Status, Location: answer.Location, Replayed: answer.Replayed, Body: answer.Body}
	if out.Status == http.StatusAccepted {
		out.RetryAfter = "1"
	}
	return out, nil
}

// refused says where in the request the field of a domain error stands.
func (r ReportRequest) refused(err error) error {
	if errors.Is(err, report.ErrTooLate) {
		return refusal{cause: errCancelling, text: err.Error()}
	}
	if !errors.Is(err, report.ErrInvalid) {
		return err
	}
	at := "body"
	switch field := report.FieldOf(err); field {
	case "":
	case "type", "format", "period", "params":
		at = "body." + field
	case "timezone":
		at = "body.timezone"
		if r.Period == "" && r.Timezone == "" {
			at = "body.params.timezone"
		}
	default:
		at = "body.params." + field
	}
	return refusal{cause: err, at: at, text: err.Error()}
}

// ReportType is a type of report.
type ReportType struct {
	Name    string        `json:"name"`
	Title   string        `json:"title"`
	About   string        `json:"about"`
	Version int           `json:"version" doc:"Of its params and columns."`
	Formats []string      `json:"formats"`
	Params  []ReportParam `json:"params"`
}

// ReportParam is a parameter of a type.
type ReportParam struct {
	Name    string `json:"name"`
	Type    string `json:"type" doc:"Of its JSON value."`
	About   string `json:"about"`
	Needed  bool   `json:"needed" doc:"There is no report without it, unless a period stands in its place."`
	Default any    `json:"default,omitempty" doc:"What it is when left out; absent: nothing."`
}

// ReportTypes are all types of this program.
type ReportTypes struct {
	Types []ReportType `json:"types"`
}

// TypeOfReport is a type as the API shows it, and the command line with it.
func TypeOfReport(t report.Type) ReportType {
	shown := ReportType{Name: t.Name, Title: t.Title, About: t.About, Version: t.Version, Formats: []string{}, Params: []ReportParam{}}
	for _, format := range t.Formats {
		shown.Formats = append(shown.Formats, string(format))
	}
	for _, p := range t.Parameters() {
		shown.Params = append(shown.Params, ReportParam(p))
	}
	return shown
}

func (a *API) listReportTypes(context.Context, *struct{}) (*struct{ Body ReportTypes }, error) {
	out := &struct{ Body ReportTypes }{}
	for _, t := range report.Types() {
		out.Body.Types = append(out.Body.Types, TypeOfReport(t))
	}
	return out, nil
}
