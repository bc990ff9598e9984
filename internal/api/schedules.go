package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/audit"
	"backoffice/periodic"
)

const (
	schedulesPath = "/api/schedules"
	upcomingTicks = 5
	shownRuns     = 20
)

func schedulePath(name string) string { return schedulesPath + "/" + name } // which holds no sign that a path escapes

func (a *API) scheduleRoutes() {
	register(a, route{
		id: "listSchedules", method: http.MethodGet, path: schedulesPath, tag: tagSchedules, scope: ScopeRead, status: http.StatusOK,
		summary: "List the schedules", about: "By name: when each is due next, what became of its last tick, and what stands in its way. At most 1000.",
	}, a.listSchedules)
	register(a, route{
		id: "getSchedule", method: http.MethodGet, path: schedulesPath + "/{name}", tag: tagSchedules, scope: ScopeRead, status: http.StatusOK,
		errors: []int{http.StatusNotFound}, summary: "Tell of one schedule",
		about: "With its next 5 ticks, the last 20 that are settled, and what operators did to it.",
	}, a.getSchedule)
	register(a, route{
		id: "pauseSchedule", method: http.MethodPost, path: schedulesPath + "/{name}/pause", tag: tagSchedules, scope: ScopeOperate, status: http.StatusOK,
		errors: []int{http.StatusNotFound}, summary: "Pause a schedule",
		about: "It enqueues nothing until it is resumed; jobs that it has enqueued are worked.",
	}, a.changeSchedule("pause_schedule", a.timetable().Pause))
	register(a, route{
		id: "resumeSchedule", method: http.MethodPost, path: schedulesPath + "/{name}/resume", tag: tagSchedules, scope: ScopeOperate, status: http.StatusOK,
		errors: []int{http.StatusNotFound, http.StatusConflict}, summary: "Resume a paused schedule",
		about: "It goes on with its next tick. What came due during the pause is not made up for. 409: its spec or timezone cannot be read any more.",
	}, a.changeSchedule("resume_schedule", a.timetable().Resume))
	register(a, route{
		id: "removeSchedule", method: http.MethodDelete, path: schedulesPath + "/{name}", tag: tagSchedules, scope: ScopeOperate, status: http.StatusOK,
		errors: []int{http.StatusNotFound, http.StatusConflict}, summary: "Remove a schedule",
		about: "Answers it as it stood. Jobs that it has enqueued are worked, and its ledger is kept. 409: the program brings it along; pause it instead.",
	}, a.changeSchedule("remove_schedule", a.timetable().Remove))
	a.scheduleEnqueueRoutes()
}

// timetable changes the schedules, whose kinds are those of this build.
func (a *API) timetable() periodic.Operator {
	return periodic.Operator{Jobs: a.Jobs, Decode: a.decode}
}

// ScheduleName names a schedule in a path.
type ScheduleName struct {
	Name string `path:"name" maxLength:"64" pattern:"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$" patternDescription:"the name of a schedule" example:"night-check"`
}

// Schedules are all lines of the timetable.
type Schedules struct {
	Schedules []periodic.Schedule `json:"schedules"`
}

func (a *API) listSchedules(ctx context.Context, _ *struct{}) (*struct{ Body Schedules }, error) {
	found, err := periodic.List(ctx, a.Pool, periodic.MaxListed)
	if err != nil {
		return nil, err
	}
	return &struct{ Body Schedules }{Schedules{append([]periodic.Schedule{}, found...)}}, nil
}

// ScheduleStory is a schedule with its past and its future.
type ScheduleStory struct {
	periodic.Schedule
	Upcoming []time.Time    `json:"upcoming" doc:"The next ticks; none while it is paused."`
	Runs     []periodic.Run `json:"runs" doc:"The last ticks that are settled, the latest first."`
	Actions  []audit.Action `json:"actions" doc:"What operators did to it, the latest first."`
}

func (a *API) getSchedule(ctx context.Context, in *ScheduleName) (*struct{ Body ScheduleStory }, error) {
	var story ScheduleStory
	err := snapshot(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if story.Schedule, err = periodic.Get(ctx, tx, in.Name); err != nil {
			return err
		}
		if story.Runs, err = periodic.Runs(ctx, tx, in.Name, shownRuns); err != nil {
			return err
		}
		story.Actions, err = audit.List(ctx, tx, audit.Filter{Target: scheduleTarget(in.Name), Limit: shownActions})
		return err
	})
	if err != nil {
		return nil, notFoundAt("path.name", err)
	}
	story.Upcoming = story.Schedule.Upcoming(upcomingTicks)
	return &struct{ Body ScheduleStory }{story}, nil
}

// scheduleTarget is how audit_log names a schedule.
func scheduleTarget(name string) string { return "schedule " + name }

// changeSchedule is the handler of what an operator does to one schedule.
func (a *API) changeSchedule(action string, change func(context.Context, pgx.Tx, string) (periodic.Schedule, error)) func(context.Context, *ScheduleName) (*struct{ Body periodic.Schedule }, error) {
	return func(ctx context.Context, in *ScheduleName) (*struct{ Body periodic.Schedule }, error) {
		var changed periodic.Schedule
		err := a.operate(ctx, action, scheduleTarget(in.Name), "", func(tx pgx.Tx) (err error) {
			changed, err = change(ctx, tx, in.Name)
			return err
		})
		if err != nil {
			return nil, notFoundAt("path.name", err)
		}
		return &struct{ Body periodic.Schedule }{changed}, nil
	}
}
