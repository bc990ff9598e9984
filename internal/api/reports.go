package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"backoffice/internal/report"
)

const reportsPath = "/api/reports"

func reportPath(id int64) string { return reportsPath + "/" + strconv.FormatInt(id, 10) }

func (a *API) reportRoutes() {
	a.reportGenerateRoutes()
	register(a, route{
		id: "listReports", method: http.MethodGet, path: reportsPath, tag: tagReports, scope: ScopeRead, status: http.StatusOK,
		summary: "List reports, the newest first", about: "`next` leads to the page after this one; only a page without `next` was the last.",
	}, a.listReports)
	register(a, route{
		id: "getReport", method: http.MethodGet, path: reportsPath + "/{id}", tag: tagReports, scope: ScopeRead, status: http.StatusOK,
		errors:  []int{http.StatusNotFound},
		summary: "Tell how a report stands",
		about:   "Rows, bytes and percent grow while it is made; `manifest` and `download` are there once it is completed. Until it is completed, failed or cancelled, `Retry-After` says when to look again.",
	}, a.getReport)
	register(a, route{
		id: "cancelReport", method: http.MethodDelete, path: reportsPath + "/{id}", tag: tagReports, scope: ScopeOperate, status: http.StatusOK,
		errors:  []int{http.StatusNotFound, http.StatusConflict},
		summary: "Cancel a report that is not finished",
		about:   "With its job, in one transaction; work on it stops within a second, and nothing of it can be downloaded. 409: it is completed, failed or cancelled already.",
	}, a.cancelReport)
	a.reportDownloadRoutes()
}

// Report is how a report stands.
type Report struct {
	ID          int64        `json:"id"`
	JobID       int64        `json:"job_id" doc:"The job that makes it; see /api/jobs/{id}. Finished jobs are deleted after a while."`
	Type        string       `json:"type" doc:"See /api/reports/types."`
	Version     int          `json:"version" doc:"Of the type's parameters and columns."`
	Format      string       `json:"format"`
	Params      paramsObject `json:"params" doc:"All of them: those that were left out have their defaults, and a period is its first and last day."`
	Status      string       `json:"status" doc:"queued and running go on; completed, failed and cancelled are final."`
	RequestedAt time.Time    `json:"requested_at"`
	StartedAt   *time.Time   `json:"started_at"`
	FinishedAt  *time.Time   `json:"finished_at"`
	Rows        int64        `json:"rows" doc:"Written so far; of the whole report once it is completed."`
	Bytes       int64        `json:"bytes" doc:"As rows."`
	Percent     float64      `json:"percent" minimum:"0" maximum:"100" doc:"How much of the work is done."`
	ETASeconds  *float64     `json:"eta_seconds" doc:"How long the rest takes if it goes on as before; null where nothing can be said."`
	Error       string       `json:"error,omitempty" doc:"Why it failed, or why its last attempt did."`
	ExpiredAt   *time.Time   `json:"expired_at" doc:"Since when its artifact cannot be downloaded any more."`
	Manifest    *Manifest    `json:"manifest,omitempty"`
	Download    string       `json:"download,omitempty" doc:"Where its bytes are."`
}

// Manifest tells what a completed report consists of.
type Manifest struct {
	ContentType string    `json:"content_type"`
	FileName    string    `json:"file_name"`
	Rows        int64     `json:"rows"`
	Bytes       int64     `json:"bytes"`
	SHA256      string    `json:"sha256" doc:"Of all its bytes, in hexadecimal."`
	Parts       int       `json:"parts" doc:"Pieces that it was written in."`
	Watermark   int64     `json:"watermark" doc:"The highest id of the records that it was made of: the same watermark and params mean the same data."`
	TookSeconds float64   `json:"took_seconds" doc:"From started_at to completion."`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at" doc:"From then on it may be deleted."`
}

// paramsObject is a JSON object whose members depend on the type of report.
type paramsObject json.RawMessage

// Schema implements huma.SchemaProvider.
func (paramsObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Examples: []any{map[string]any{"from": "2010-12-01", "to": "2011-05-31"}}}
}

// UnmarshalJSON keeps the text.
func (o *paramsObject) UnmarshalJSON(data []byte) error {
	*o = append((*o)[:0], data...)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o paramsObject) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("{}"), nil
	}
	return o, nil
}

// ReportOf is a report as the API shows it, and the command line with it.
func ReportOf(r report.Report) Report {
	shown := Report{
		ID: r.ID, JobID: r.JobID, Type: r.Type, Version: r.Version, Format: r.Format, Params: paramsObject(r.Params), Status: string(r.Status),
		RequestedAt: r.RequestedAt.UTC(), StartedAt: inUTC(r.StartedAt), FinishedAt: inUTC(r.FinishedAt),
		Rows: r.Rows, Bytes: r.Bytes, Percent: percentOf(r), Error: r.Error, ExpiredAt: inUTC(r.ExpiredAt),
	}
	if r.ETA != nil {
		seconds := math.Ceil(r.ETA.Seconds())
		shown.ETASeconds = &seconds
	}
	if m := r.Artifact; m != nil {
		shown.Manifest = &Manifest{
			ContentType: m.ContentType, FileName: m.FileName, Rows: m.Rows, Bytes: m.Bytes, SHA256: m.SHA256, Parts: m.Parts, Watermark: m.Watermark,
			TookSeconds: float64(m.Took.Microseconds()) / 1e6, CreatedAt: m.CreatedAt.UTC(), ExpiresAt: m.ExpiresAt.UTC(),
		}
	}
	if downloadable(r) {
		shown.Download = reportPath(r.ID) + "/download"
	}
	return shown
}

// percentOf has one decimal, and is 100 for nothing but a whole report.
func percentOf(r report.Report) float64 {
	if r.Status == report.StatusCompleted {
		return 100
	}
	return min(math.Floor(r.Done*1000)/10, 99.9)
}

func downloadable(r report.Report) bool {
	return r.Status == report.StatusCompleted && r.ExpiredAt == nil
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moved := t.UTC()
	return &moved
}

// lookAgain is after how many seconds a report has news; empty once it has none any more.
func lookAgain(r report.Report) string {
	switch {
	case r.Status.Final():
		return ""
	case r.ETA == nil:
		return "1"
	}
	const longest = 10
	return strconv.Itoa(int(min(max(math.Ceil(r.ETA.Seconds()), 1), longest)))
}

// Reports is a page of reports.
type Reports struct {
	Reports []Report `json:"reports"`
	Next    string   `json:"next,omitempty" doc:"The page after this one; absent: this was the last."`
}

func (a *API) listReports(ctx context.Context, in *struct {
	Page
	Type   string `query:"type" doc:"See /api/reports/types."`
	Status string `query:"status" enum:"queued,running,completed,failed,cancelled"`
}) (*struct {
	Link string `header:"Link" doc:"rel=next: the page after this one."`
	Body Reports
}, error) {
	found, err := report.List(ctx, a.Pool, report.Filter{Type: in.Type, Status: report.Status(in.Status), After: in.After, Limit: in.Limit})
	if field := report.FieldOf(err); field != "" {
		return nil, refusal{cause: err, at: "query." + field, text: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	out := &struct {
		Link string `header:"Link" doc:"rel=next: the page after this one."`
		Body Reports
	}{Body: Reports{Reports: []Report{}}}
	for _, r := range found {
		out.Body.Reports = append(out.Body.Reports, ReportOf(r))
	}
	if len(found) == in.Limit {
		out.Body.Next, out.Link = in.next(reportsPath, found[len(found)-1].ID, "type", in.Type, "status", in.Status)
	}
	return out, nil
}

// ReportID names a report in a path.
type ReportID struct {
	ID int64 `path:"id" minimum:"1" doc:"The report's id."`
}

func (a *API) getReport(ctx context.Context, in *ReportID) (*struct {
	RetryAfter string `header:"Retry-After" doc:"Seconds; absent once the report is completed, failed or cancelled."`
	Body       Report
}, error) {
	found, err := report.Get(ctx, a.Pool, in.ID)
	if err != nil {
		return nil, notFoundAt("path.id", err)
	}
	return &struct {
		RetryAfter string `header:"Retry-After" doc:"Seconds; absent once the report is completed, failed or cancelled."`
		Body       Report
	}{lookAgain(found), ReportOf(found)}, nil
}

func (a *API) cancelReport(ctx context.Context, in *ReportID) (*struct{ Body Report }, error) {
	out := &struct{ Body Report }{}
	err := a.operate(ctx, "cancel_report", fmt.Sprintf("report %d", in.ID), "", func(tx pgx.Tx) error {
		cancelled, err := report.Cancel(ctx, tx, a.Jobs, in.ID, a.Now())
		out.Body = ReportOf(cancelled)
		return err
	})
	if err != nil {
		return nil, notFoundAt("path.id", err)
	}
	return out, nil
}
