package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"backoffice/internal/queue"
	"backoffice/periodic"
)

// NewSchedule is a schedule to be added.
type NewSchedule struct {
	Name          string       `json:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$" patternDescription:"letters and digits, in words joined by - or _" example:"night-check"`
	Kind          string       `json:"kind" minLength:"1" maxLength:"100" doc:"Of the jobs that it enqueues; see /api/kinds." example:"reconcile_orders"`
	Args          scheduleArgs `json:"args,omitempty" doc:"Of these jobs; see /api/kinds. An empty object when left out."`
	Spec          string       `json:"spec" minLength:"1" maxLength:"200" doc:"A cron line of five fields, one of @hourly, @daily, @weekly, @monthly and @yearly, or an interval such as every 30s." example:"0 6 * * MON-FRI"`
	Timezone      string       `json:"timezone,omitempty" maxLength:"64" doc:"In which a cron line is read; UTC when left out." example:"Europe/London"`
	CatchUp       string       `json:"catch_up,omitempty" enum:"all,latest,skip" doc:"What becomes of ticks that no worker process was there for: all of them run, the latest (as when left out), or none."`
	JitterSeconds int          `json:"jitter_seconds,omitempty" minimum:"0" maximum:"3600" doc:"A tick's job starts up to this much later."`
	Paused        bool         `json:"paused,omitempty" doc:"It enqueues nothing until it is resumed."`
}

// scheduleArgs is an argsObject without its example, which is about one order.
type scheduleArgs json.RawMessage

// Schema implements huma.SchemaProvider.
func (scheduleArgs) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// UnmarshalJSON keeps the text.
func (o *scheduleArgs) UnmarshalJSON(data []byte) error { return (*argsObject)(o).UnmarshalJSON(data) }

func (a *API) scheduleEnqueueRoutes() {
	register(a, route{
		id: "addSchedule", method: http.MethodPost, path: schedulesPath, tag: tagSchedules, scope: ScopeOperate, status: http.StatusCreated,
		maxBody: a.MaxBody, errors: []int{http.StatusConflict}, answer: reflect.TypeFor[periodic.Schedule](),
		summary: "Add a schedule",
		about:   "A spec, timezone or args that cannot be used are refused with the reason, and nothing is written. 409: there is one of that name.",
	}, a.addSchedule)
	register(a, route{
		id: "runSchedule", method: http.MethodPost, path: schedulesPath + "/{name}/run", tag: tagSchedules, scope: ScopeOperate, status: http.StatusAccepted,
		errors: append([]int{http.StatusNotFound}, creating...), answer: reflect.TypeFor[EnqueuedJob](),
		summary: "Run a schedule now",
		about:   "Enqueues its job as if this were one of its ticks, paused or not. The ledger and the next tick stay as they are. 409: its kind or its args cannot be used any more.",
	}, a.runSchedule)
}

// decode reads args of a kind of this build.
func (a *API) decode(kind string, args []byte) (queue.JobArgs, error) {
	known, ok := a.kinds[kind]
	if !ok {
		return nil, a.unknownKind(kind)
	}
	return known.Decode(args)
}

func (a *API) unknownKind(kind string) error {
	return refuse(errInvalid, "body.kind", "kind %q is unknown; this program knows %s", kind, strings.Join(a.kindNames(), ", "))
}

func (a *API) addSchedule(ctx context.Context, in *struct {
	Idempotent
	Body NewSchedule
}) (*created, error) {
	kind, known := a.kinds[in.Body.Kind]
	if !known {
		return nil, a.unknownKind(in.Body.Kind)
	}
	args, err := kind.check(argsObject(in.Body.Args))
	if err != nil {
		return nil, err
	}
	draft := periodic.Draft{
		Name: in.Body.Name, Kind: in.Body.Kind, Args: []byte(in.Body.Args), Spec: in.Body.Spec, Timezone: in.Body.Timezone,
		CatchUp: periodic.CatchUp(in.Body.CatchUp), Jitter: time.Duration(in.Body.JitterSeconds) * time.Second, Paused: in.Body.Paused,
	}
	return a.once(ctx, "POST "+schedulesPath, in.Key, func(tx pgx.Tx) (outcome, error) {
		if err := checkOrderOf(ctx, tx, args); err != nil {
			return outcome{}, err
		}
		added, err := a.timetable().Add(ctx, tx, draft)
		if err != nil {
			return outcome{}, inside("body.", err)
		}
		what := fmt.Sprintf("%s %s", draft.Kind, draft.Spec)
		return outcome{http.StatusCreated, schedulePath(draft.Name), added}, writeDown(ctx, tx, "add_schedule", scheduleTarget(draft.Name), what)
	})
}

func (a *API) runSchedule(ctx context.Context, in *struct {
	Idempotent
	ScheduleName
}) (*created, error) {
	answer, err := a.once(ctx, "POST "+schedulePath(in.Name)+"/run", in.Key, func(tx pgx.Tx) (outcome, error) {
		run, err := a.timetable().RunNow(ctx, tx, in.Name)
		if err != nil {
			return outcome{}, err
		}
		job := EnqueuedJob{ID: run.JobID, Kind: run.Kind, Queue: run.Queue, State: run.State, ScheduledAt: run.ScheduledAt, Duplicate: run.Duplicate}
		return outcome{http.StatusAccepted, jobPath(run.JobID), job}, writeDown(ctx, tx, "run_schedule", scheduleTarget(in.Name), fmt.Sprintf("job %d", run.JobID))
	})
	if err != nil {
		return nil, notFoundAt("path.name", err)
	}
	return answer, nil
}
