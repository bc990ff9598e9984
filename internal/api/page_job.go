package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/audit"
	"backoffice/internal/queue"
	"backoffice/internal/report"
)

// jobContent is the story of one job.
type jobContent struct {
	queue.Job
	Args     string // indented
	OrderID  int64  // the order that its args name; 0: none
	ReportID int64  // the report that it makes; 0: none
	Timeline []queue.Event
	Process  string // the worker process of the latest attempt
	Actions  []audit.Action
}

func contentOf(job queue.Job) jobContent {
	c := jobContent{Job: job, Args: indented(job.Args), Timeline: job.Timeline()}
	var args struct {
		OrderID int64 `json:"order_id"`
	}
	if json.Unmarshal(job.Args, &args) == nil && args.OrderID > 0 {
		c.OrderID = args.OrderID
	}
	if n := len(job.AttemptedBy); n > 0 {
		c.Process = job.AttemptedBy[n-1]
	}
	return c
}

// Retriable says whether a person may want to run the job again.
func (c jobContent) Retriable() bool {
	return c.State == "discarded" || c.State == "cancelled" || c.State == "retryable"
}

func (a *API) jobPage(r *http.Request) (view, error) {
	id, ok := pathID(r)
	if !ok {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("%q is no id of a job.", shortened(r.PathValue("id")))), nil
	}
	var c jobContent
	err := a.glance(r.Context(), func(tx pgx.Tx) error {
		job, err := queue.GetJob(r.Context(), tx, id)
		if err != nil {
			return err
		}
		c = contentOf(job)
		if c.ReportID, err = report.OfJob(r.Context(), tx, id); err != nil {
			return err
		}
		c.Actions, err = audit.List(r.Context(), tx, audit.Filter{Target: fmt.Sprintf("job %d", id), Limit: shownActions})
		return err
	})
	if errors.Is(err, queue.ErrNotFound) {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("There is no job %d; finished jobs are deleted after a while.", id)), nil
	}
	if err != nil {
		return view{}, err
	}
	v := view{Title: fmt.Sprintf("Job %d", id), template: "job", Content: c}
	if c.FinalizedAt == nil {
		v.Refresh = storyRefresh
	}
	return v, nil
}
