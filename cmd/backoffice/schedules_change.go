package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/jobs"
	"backoffice/periodic"
	"backoffice/workers"
)

func schedulesAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "add a schedule of your own",
		ArgsUsage: "NAME",
		Description: `The spec is a cron line (minute hour day-of-month month day-of-week), one of @hourly,
@daily, @weekly, @monthly and @yearly, or an interval such as "every 30s".

  backoffice schedules add night-check --kind reconcile_orders --spec '30 2 * * *' --timezone Europe/London
  backoffice schedules add often --kind reconcile_orders --spec 'every 10s' --catch-up skip`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kind", EnvVars: []string{"BACKOFFICE_SCHEDULE_KIND"}, Usage: "`KIND` of the jobs that it enqueues; see backoffice kinds"},
			&cli.StringFlag{Name: "args", EnvVars: []string{"BACKOFFICE_SCHEDULE_ARGS"}, Value: "{}", Usage: "their args as a `JSON` object"},
			&cli.StringFlag{Name: "spec", EnvVars: []string{"BACKOFFICE_SCHEDULE_SPEC"}, Usage: "`SPEC` that says when it is due"},
			&cli.StringFlag{Name: "timezone", EnvVars: []string{"BACKOFFICE_SCHEDULE_TIMEZONE"}, Value: "UTC", Usage: "`ZONE` of a cron line, such as Europe/London"},
			&cli.StringFlag{Name: "catch-up", EnvVars: []string{"BACKOFFICE_SCHEDULE_CATCH_UP"}, Value: string(periodic.CatchUpLatest),
				Usage: "which ticks run `LATE` that no worker process was there for: all, latest or skip (none)"},
			&cli.DurationFlag{Name: "jitter", EnvVars: []string{"BACKOFFICE_SCHEDULE_JITTER"}, Usage: "start a tick's job up to this much later, at most 1h"},
			&cli.BoolFlag{Name: "paused", EnvVars: []string{"BACKOFFICE_SCHEDULE_PAUSED"}, Usage: "enqueue nothing until it is resumed"},
		},
		Action: func(c *cli.Context) error {
			draft := periodic.Draft{
				Name: c.Args().First(), Kind: c.String("kind"), Args: json.RawMessage(c.String("args")), Spec: c.String("spec"), Timezone: c.String("timezone"),
				CatchUp: periodic.CatchUp(c.String("catch-up")), Jitter: c.Duration("jitter"), Paused: c.Bool("paused"),
			}
			if draft.Kind == "" || draft.Spec == "" {
				return usagef("schedules add wants --kind KIND and --spec SPEC; see %s --help", c.Command.HelpName)
			}
			return changeSchedule(c, "add_schedule", draft.Kind+" "+draft.Spec, func(ctx context.Context, tx pgx.Tx, o periodic.Operator) (periodic.Schedule, error) {
				if err := requireOrder(ctx, tx, draft); err != nil {
					return periodic.Schedule{}, err
				}
				return o.Add(ctx, tx, draft)
			}, "is added")
		},
	}
}

// requireOrder refuses jobs of an order that does not exist: the one that gets its number would find such a
// job in the place of its own.
func requireOrder(ctx context.Context, tx pgx.Tx, draft periodic.Draft) error {
	args, err := workers.Decode(draft.Kind, draft.Args)
	if asked, ok := args.(jobs.ProcessOrderArgs); ok && err == nil {
		_, err := order.Get(ctx, tx, asked.OrderID)
		return err
	}
	return nil // Add says what else is wrong
}

func schedulesRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "remove a schedule that an operator has added; its ledger is kept",
		ArgsUsage:   "NAME",
		Description: "  backoffice schedules remove night-check",
		Flags:       []cli.Flag{reasonFlag()},
		Action: func(c *cli.Context) error {
			return changeSchedule(c, "remove_schedule", c.String("reason"), named(c, periodic.Operator.Remove), "is removed")
		},
	}
}

func schedulesPauseCommand() *cli.Command {
	return &cli.Command{
		Name:        "pause",
		Usage:       "enqueue nothing by a schedule until it is resumed",
		ArgsUsage:   "NAME",
		Description: "  backoffice schedules pause reconcile-orders --reason \"a repair of the stock\"",
		Flags:       []cli.Flag{reasonFlag()},
		Action: func(c *cli.Context) error {
			return changeSchedule(c, "pause_schedule", c.String("reason"), named(c, periodic.Operator.Pause), "is paused")
		},
	}
}

func schedulesResumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "end a pause; the schedule goes on with its next tick",
		ArgsUsage: "NAME",
		Description: `What came due during the pause is not made up for, whatever the catch-up policy.

  backoffice schedules resume reconcile-orders`,
		Flags: []cli.Flag{reasonFlag()},
		Action: func(c *cli.Context) error {
			return changeSchedule(c, "resume_schedule", c.String("reason"), named(c, periodic.Operator.Resume), "is resumed")
		},
	}
}

// scheduleChange changes a schedule and answers it as it stands then, or stood last.
type scheduleChange func(context.Context, pgx.Tx, periodic.Operator) (periodic.Schedule, error)

// named applies a change to the schedule that the argument names.
func named(c *cli.Context, change func(periodic.Operator, context.Context, pgx.Tx, string) (periodic.Schedule, error)) scheduleChange {
	return func(ctx context.Context, tx pgx.Tx, o periodic.Operator) (periodic.Schedule, error) {
		return change(o, ctx, tx, c.Args().First())
	}
}

// changeSchedule applies a change, writes down who made it, and prints what came of it.
func changeSchedule(c *cli.Context, action, reason string, change scheduleChange, done string) error {
	return withClient(c, func(pool *pgxpool.Pool, client *queue.Client) error {
		var changed periodic.Schedule
		err := operate(c, pool, &audit.Action{Action: action, Target: scheduleTarget(c.Args().First()), Reason: reason}, func(tx pgx.Tx) (err error) {
			changed, err = change(c.Context, tx, periodic.Operator{Jobs: client, Decode: workers.Decode})
			return err
		})
		if err != nil {
			return err
		}
		if wantsJSON(c) {
			return printJSON(c, changed)
		}
		return printf(c, "schedule %s %s%s\n", changed.Name, done, nextOf(changed, done))
	})
}

// nextOf says when a schedule is due next that was changed.
func nextOf(s periodic.Schedule, done string) string {
	switch {
	case done == "is removed":
		return "; its ledger is kept"
	case s.NextRunAt != nil:
		return "; it is due next at " + instant(*s.NextRunAt)
	case done == "is added":
		return ", and paused"
	}
	return ""
}

func schedulesRunCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "enqueue the job of a schedule now",
		ArgsUsage: "NAME",
		Description: `As if this were one of its ticks, paused or not. The ledger and the next tick stay as they are;
audit_log tells who did it.

  backoffice schedules run reconcile-orders --wait`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", EnvVars: []string{"BACKOFFICE_ENQUEUE_WAIT"},
				Usage: "return when the job is final; exit 1 if it was cancelled or discarded"},
		},
		Action: func(c *cli.Context) error {
			return withClient(c, func(pool *pgxpool.Pool, client *queue.Client) error {
				return runSchedule(c, pool, client, c.Args().First())
			})
		},
	}
}

func runSchedule(c *cli.Context, pool *pgxpool.Pool, client *queue.Client, name string) error {
	var run periodic.Enqueued
	action := &audit.Action{Action: "run_schedule", Target: scheduleTarget(name)}
	err := operate(c, pool, action, func(tx pgx.Tx) (err error) {
		run, err = periodic.Operator{Jobs: client, Decode: workers.Decode}.RunNow(c.Context, tx, name)
		action.Reason = fmt.Sprintf("job %d", run.JobID)
		return err
	})
	if err != nil {
		return err
	}
	answer, err := enqueuedJob{
		JobID: run.JobID, Kind: run.Kind, Queue: run.Queue, State: rivertype.JobState(run.State), Duplicate: run.Duplicate,
	}.awaited(c, client)
	if err != nil {
		return err
	}
	if err := printEnqueued(c, answer); err != nil {
		return err
	}
	return answer.failure(c)
}
