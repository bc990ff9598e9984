package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/audit"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
)

const (
	recentReports = 8  // on the status page
	shownReports  = 50 // on the page of reports
)

// reportRow is a report in a list.
type reportRow struct {
	report.Report
	Title   string // of its type
	Days    string // of its period; empty: all
	Percent float64
}

func rowOf(r report.Report) reportRow {
	row := reportRow{Report: r, Title: r.Type, Percent: percentOf(r)}
	if t, err := report.TypeOf(r.Type); err == nil {
		row.Title = t.Title
	}
	row.Days = daysOf(r.Params)
	return row
}

// daysOf shows the period that parameters name.
func daysOf(params []byte) string {
	var p struct{ From, To string }
	_ = json.Unmarshal(params, &p) // what has no period has no days
	switch {
	case p.From != "" && p.To != "":
		return p.From + " to " + p.To
	case p.From != "":
		return "from " + p.From
	case p.To != "":
		return "to " + p.To
	}
	return ""
}

// Downloadable says whether its artifact can be read.
func (r reportRow) Downloadable() bool { return downloadable(r.Report) }

// Underway says whether how far it is tells anything.
func (r reportRow) Underway() bool { return r.Status == report.StatusRunning }

func listReportRows(ctx context.Context, tx pgx.Tx, f report.Filter) ([]reportRow, error) {
	found, err := report.List(ctx, tx, f)
	if err != nil {
		return nil, err
	}
	var rows []reportRow
	for _, r := range found {
		rows = append(rows, rowOf(r))
	}
	return rows, nil
}

// reportsContent is a page of reports.
type reportsContent struct {
	Statuses []report.Status
	Status   report.Status // empty: any
	Reports  []reportRow
	Next     int64 // 0: this was the last
	Before   int64
}

func (a *API) reportsPage(r *http.Request) (view, error) {
	query := r.URL.Query()
	c := reportsContent{
		Statuses: []report.Status{report.StatusQueued, report.StatusRunning, report.StatusCompleted, report.StatusFailed, report.StatusCancelled},
		Status:   report.Status(query.Get("status")),
	}
	if c.Status != "" && !slices.Contains(c.Statuses, c.Status) {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("No report can have status %q.", shortened(string(c.Status)))), nil
	}
	if text := query.Get("before"); text != "" {
		var err error
		if c.Before, err = strconv.ParseInt(text, 10, 64); err != nil || c.Before < 1 {
			return a.problemPage(http.StatusNotFound, fmt.Sprintf("%q is no id of a report.", shortened(text))), nil
		}
	}
	err := a.glance(r.Context(), func(tx pgx.Tx) (err error) {
		c.Reports, err = listReportRows(r.Context(), tx, report.Filter{Status: c.Status, After: c.Before, Limit: shownReports})
		return err
	})
	if len(c.Reports) == shownReports {
		c.Next = c.Reports[shownReports-1].ID
	}
	v := view{Title: "Reports", Section: "reports", template: "reports", Content: c}
	if c.Before == 0 {
		v.Refresh = statusRefresh
	}
	return v, err
}

// reportContent is one report and what became of it.
type reportContent struct {
	reportRow
	Params  string // indented
	Job     *jobContent
	Actions []audit.Action
}

func (a *API) reportPage(r *http.Request) (view, error) {
	id, ok := pathID(r)
	if !ok {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("%q is no id of a report.", shortened(r.PathValue("id")))), nil
	}
	var c reportContent
	err := a.glance(r.Context(), func(tx pgx.Tx) (err error) {
		c, err = readReport(r.Context(), tx, id)
		return err
	})
	if errors.Is(err, report.ErrNotFound) {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("There is no report %d.", id)), nil
	}
	if err != nil {
		return view{}, err
	}
	v := view{Title: fmt.Sprintf("Report %d", id), Section: "reports", template: "report", Content: c}
	if !c.Status.Final() {
		v.Refresh = storyRefresh
	}
	return v, nil
}

func readReport(ctx context.Context, db postgres.DB, id int64) (reportContent, error) {
	found, err := report.Get(ctx, db, id)
	if err != nil {
		return reportContent{}, err
	}
	c := reportContent{reportRow: rowOf(found), Params: indented(found.Params)}
	job, err := queue.GetJob(ctx, db, found.JobID)
	switch {
	case err == nil:
		shown := contentOf(job)
		c.Job = &shown
	case !errors.Is(err, queue.ErrNotFound): // finished jobs are deleted after a while
		return c, err
	}
	c.Actions, err = audit.List(ctx, db, audit.Filter{Target: fmt.Sprintf("report %d", id), Limit: shownActions})
	return c, err
}

// indented is JSON as people read it.
func indented(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

// pageDownload sends an artifact to a browser, which has the key of the pages and none for /api.
func (a *API) pageDownload(w http.ResponseWriter, r *http.Request) {
	if !a.mayLook(w, r) {
		return
	}
	id, ok := pathID(r)
	if !ok {
		a.render(w, r, a.problemPage(http.StatusNotFound, fmt.Sprintf("%q is no id of a report.", shortened(r.PathValue("id")))))
		return
	}
	if err := a.send(w, r, id); err != nil {
		a.renderError(w, r, err)
	}
}
