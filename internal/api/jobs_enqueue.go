package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/jobs"
)

// JobRequest is a job to be enqueued.
type JobRequest struct {
	Kind        string     `json:"kind" minLength:"1" maxLength:"100" doc:"See /api/kinds." example:"process_order"`
	Args        argsObject `json:"args,omitempty" doc:"What the kind's schema asks for; see /api/kinds. An empty object when left out."`
	Queue       string     `json:"queue,omitempty" maxLength:"100" doc:"Another queue than the kind's own."`
	Priority    int        `json:"priority,omitempty" minimum:"1" maximum:"4" doc:"1 (first, as when left out) to 4 (last)."`
	ScheduledAt *time.Time `json:"scheduled_at,omitempty" doc:"Not before this; now when left out. Refused for a kind of which one unfinished job keeps others out, as of process_order and reconcile_orders: it runs now."`
}

// argsObject is a JSON object whose schema depends on the kind.
type argsObject json.RawMessage

// Schema implements huma.SchemaProvider.
func (argsObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Examples: []any{map[string]any{"order_id": 41}}}
}

// UnmarshalJSON keeps the text.
func (o *argsObject) UnmarshalJSON(data []byte) error {
	*o = append((*o)[:0], data...)
	return nil
}

// EnqueuedJob tells a job that was enqueued, or was there already.
type EnqueuedJob struct {
	ID          int64     `json:"id"`
	Kind        string    `json:"kind"`
	Queue       string    `json:"queue"`
	State       string    `json:"state"`
	ScheduledAt time.Time `json:"scheduled_at"`
	Duplicate   bool      `json:"duplicate" doc:"An unfinished job for the same thing was there already; this is it."`
}

func (a *API) jobEnqueueRoutes() {
	register(a, route{
		id: "enqueueJob", method: http.MethodPost, path: jobsPath, tag: tagJobs, scope: ScopeEnqueue, status: http.StatusAccepted,
		maxBody: a.MaxBody, errors: creating, answer: reflect.TypeFor[EnqueuedJob](),
		summary: "Enqueue a job",
		about:   "Its args are checked against the kind's schema before anything is written.",
	}, a.enqueueJob)
}

func (a *API) enqueueJob(ctx context.Context, in *struct {
	Idempotent
	Body JobRequest
}) (*created, error) {
	args, opts, err := a.checkJob(in.Body)
	if err != nil {
		return nil, err
	}
	return a.once(ctx, "POST "+jobsPath, in.Key, func(tx pgx.Tx) (outcome, error) {
		if err := checkOrderOf(ctx, tx, args); err != nil {
			return outcome{}, err
		}
		inserted, err := a.Jobs.InsertTx(ctx, tx, args, &opts)
		if err != nil {
			return outcome{}, fmt.Errorf("enqueue %s: %w", args.Kind(), err)
		}
		job := inserted.Job
		return outcome{http.StatusAccepted, jobPath(job.ID), EnqueuedJob{
			ID: job.ID, Kind: job.Kind, Queue: job.Queue, State: string(job.State), ScheduledAt: job.ScheduledAt.UTC(),
			Duplicate: inserted.UniqueSkippedAsDuplicate,
		}}, nil
	})
}

// checkOrderOf refuses the job of an order that does not exist. Orders are numbered as they come: the one
// that gets the number would find this job in the place of its own.
func checkOrderOf(ctx context.Context, tx pgx.Tx, args queue.JobArgs) error {
	asked, ok := args.(jobs.ProcessOrderArgs)
	if !ok {
		return nil
	}
	if _, err := order.Get(ctx, tx, asked.OrderID); errors.Is(err, order.ErrNotFound) {
		return refuse(errInvalid, "body.args.order_id", "%s", err)
	} else if err != nil {
		return err
	}
	return nil
}

// checkJob refuses a job that no worker could work.
func (a *API) checkJob(r JobRequest) (queue.JobArgs, queue.InsertOpts, error) {
	opts := queue.InsertOpts{Queue: r.Queue, Priority: r.Priority}
	kind, known := a.kinds[r.Kind]
	if !known {
		return nil, opts, a.unknownKind(r.Kind)
	}
	if names := a.queueNames(); r.Queue != "" && !slices.Contains(names, r.Queue) {
		return nil, opts, refuse(errInvalid, "body.queue", "queue %q is none of this program; known are %s", r.Queue, strings.Join(names, ", "))
	}
	if r.ScheduledAt != nil {
		if jobs.UniqueUnfinished(kind.Args) {
			return nil, opts, refuse(errInvalid, "body.scheduled_at", "a job of kind %s cannot be put off, because it would keep out every other for the same thing until then; leave scheduled_at out", r.Kind)
		}
		if year := r.ScheduledAt.UTC().Year(); year < 1970 || year > 9999 {
			return nil, opts, refuse(errInvalid, "body.scheduled_at", "scheduled_at %s is out of range; give a year from 1970 to 9999", r.ScheduledAt.Format(time.RFC3339))
		}
		opts.ScheduledAt = *r.ScheduledAt
	}
	args, err := kind.check(r.Args)
	if err != nil {
		return nil, opts, err
	}
	if args, err = report.Resolve(args, a.Now()); errors.Is(err, report.ErrInvalid) {
		err = refusal{cause: err, at: "body.args", text: err.Error()}
	}
	return args, opts, err
}
