package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/report"
)

const jobsPath = "/api/jobs"

func jobPath(id int64) string { return jobsPath + "/" + strconv.FormatInt(id, 10) }

func (a *API) jobRoutes() {
	a.jobEnqueueRoutes()
	register(a, route{
		id: "listJobs", method: http.MethodGet, path: jobsPath, tag: tagJobs, scope: ScopeRead, status: http.StatusOK,
		summary: "List jobs, the newest first", about: "`next` leads to the page after this one. One page looks at no more than 20000 jobs: of a rare sort it may hold few, or none, and still have a `next`; only a page without `next` was the last.",
	}, a.listJobs)
	register(a, route{
		id: "getJob", method: http.MethodGet, path: jobsPath + "/{id}", tag: tagJobs, scope: ScopeRead, status: http.StatusOK,
		errors:  []int{http.StatusNotFound},
		summary: "Tell what became of a job",
		about:   "Its attempts, their errors and a timeline. While it is not finished, `Retry-After` says when to look again.",
	}, a.getJob)
	register(a, route{
		id: "retryJob", method: http.MethodPost, path: jobsPath + "/{id}/retry", tag: tagJobs, scope: ScopeOperate, status: http.StatusOK,
		errors:  []int{http.StatusNotFound, http.StatusConflict},
		summary: "Run a job again now",
		about:   "A finished one, too, with one more attempt where they were used up. 409: it is running, or another unfinished job does the same.",
	}, a.changeJob("retry_job", retryJob))
	register(a, route{
		id: "cancelJob", method: http.MethodPost, path: jobsPath + "/{id}/cancel", tag: tagJobs, scope: ScopeOperate, status: http.StatusOK,
		errors:  []int{http.StatusNotFound, http.StatusConflict},
		summary: "Cancel a job that is not finished",
		about:   "One that runs is asked to stop and is cancelled when its attempt returns. The report that it makes is cancelled with it. 409: it is finished, or an order that is not final depends on it: cancel the order, and its job goes with it.",
	}, a.changeJob("cancel_job", a.cancelJob))
}

// Jobs is a page of jobs.
type Jobs struct {
	Jobs []queue.Job `json:"jobs"`
	Next string      `json:"next,omitempty" doc:"The page after this one; absent: this was the last."`
}

func (a *API) listJobs(ctx context.Context, in *struct {
	Page
	Kind  string `query:"kind" doc:"See /api/kinds."`
	Queue string `query:"queue" doc:"See /api/queues."`
	State string `query:"state" enum:"available,cancelled,completed,discarded,pending,retryable,running,scheduled"`
}) (*struct {
	Link string `header:"Link" doc:"rel=next: the page after this one."`
	Body Jobs
}, error) {
	found, next, err := queue.ListJobs(ctx, a.Pool, queue.JobFilter{Kind: in.Kind, Queue: in.Queue, State: in.State, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, inside("query.", err)
	}
	out := &struct {
		Link string `header:"Link" doc:"rel=next: the page after this one."`
		Body Jobs
	}{Body: Jobs{Jobs: append([]queue.Job{}, found...)}}
	if next > 0 {
		out.Body.Next, out.Link = in.next(jobsPath, next, "kind", in.Kind, "queue", in.Queue, "state", in.State)
	}
	return out, nil
}

// JobStory is a job and its life.
type JobStory struct {
	queue.Job
	LastError string        `json:"last_error,omitempty"`
	Timeline  []queue.Event `json:"timeline"`
}

func storyOf(job queue.Job) JobStory {
	story := JobStory{Job: job, Timeline: job.Timeline()}
	if n := len(job.Errors); n > 0 {
		story.LastError = job.Errors[n-1].Error
	}
	return story
}

// JobID names a job in a path.
type JobID struct {
	ID int64 `path:"id" minimum:"1" doc:"The job's id."`
}

func (a *API) getJob(ctx context.Context, in *JobID) (*struct {
	RetryAfter string `header:"Retry-After" doc:"Seconds; absent once the job is finished."`
	Body       JobStory
}, error) {
	job, err := queue.GetJob(ctx, a.Pool, in.ID)
	if err != nil {
		return nil, notFoundAt("path.id", err)
	}
	out := &struct {
		RetryAfter string `header:"Retry-After" doc:"Seconds; absent once the job is finished."`
		Body       JobStory
	}{Body: storyOf(job)}
	if job.FinalizedAt == nil {
		out.RetryAfter = "1"
	}
	return out, nil
}

// changeJob is the handler of what an operator does to one job.
func (a *API) changeJob(action string, change func(context.Context, pgx.Tx, *queue.Client, int64) (queue.Job, error)) func(context.Context, *JobID) (*struct{ Body JobStory }, error) {
	return func(ctx context.Context, in *JobID) (*struct{ Body JobStory }, error) {
		var job queue.Job
		err := a.operate(ctx, action, fmt.Sprintf("job %d", in.ID), "", func(tx pgx.Tx) (err error) {
			job, err = change(ctx, tx, a.Jobs, in.ID)
			return err
		})
		if err != nil {
			return nil, notFoundAt("path.id", err)
		}
		return &struct{ Body JobStory }{storyOf(job)}, nil
	}
}

// retryJob queues the report that a failed job makes with it.
func retryJob(ctx context.Context, tx pgx.Tx, client *queue.Client, id int64) (queue.Job, error) {
	job, err := queue.RetryJob(ctx, tx, client, id)
	if err == nil {
		err = report.Retried(ctx, tx, id)
	}
	return job, err
}

// cancelJob refuses what would leave an order without a job, which nobody would ever finish. The report that
// a job makes is cancelled with it.
func (a *API) cancelJob(ctx context.Context, tx pgx.Tx, client *queue.Client, id int64) (queue.Job, error) {
	open, err := order.OpenOrderOf(ctx, tx, id)
	if err != nil {
		return queue.Job{}, err
	}
	if open != 0 {
		return queue.Job{}, refuse(errNeeded, "", "order %d is not final and depends on job %d; cancel the order, and its job goes with it: POST %s/cancel", open, id, orderPath(open))
	}
	made, err := report.OfJob(ctx, tx, id)
	if err != nil {
		return queue.Job{}, err
	}
	if made != 0 {
		if _, err := report.Cancel(ctx, tx, client, made, a.Now()); err != nil {
			return queue.Job{}, err
		}
		return queue.GetJob(ctx, tx, id)
	}
	return queue.CancelJob(ctx, tx, client, id)
}
