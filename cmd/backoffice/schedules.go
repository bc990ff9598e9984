package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/periodic"
)

func schedulesCommand() *cli.Command {
	return &cli.Command{
		Name:  "schedules",
		Usage: "look at the timetable and change it",
		Description: `A schedule enqueues jobs by a cron line, by a name such as @daily, or in a fixed interval,
each of its ticks once, whatever dies meanwhile. Worker processes dispatch it.

  backoffice schedules list
  backoffice schedules show reconcile-orders
  backoffice schedules pause reconcile-orders
  backoffice schedules add night-check --kind reconcile_orders --spec '30 2 * * *' --timezone Europe/London`,
		Subcommands: []*cli.Command{
			schedulesListCommand(), schedulesShowCommand(), schedulesRunCommand(), schedulesPauseCommand(),
			schedulesResumeCommand(), schedulesAddCommand(), schedulesRemoveCommand(),
		},
	}
}

func schedulesListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list the schedules by name",
		Description: "  backoffice schedules list",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				found, err := periodic.List(c.Context, pool, periodic.MaxListed)
				if err != nil {
					return err
				}
				return printSchedules(c, found)
			})
		},
	}
}

func printSchedules(c *cli.Context, found []periodic.Schedule) error {
	t := newTable("NAME", "KIND", "SPEC", "TIMEZONE", "NEXT_RUN_AT", "LAST_TICK_AT", "LAST_OUTCOME", ">LAST_JOB", "JOB_STATE", ">MISSED", "STANDING")
	for _, s := range found {
		t.add(s.Name, s.Kind, s.Spec, s.Timezone, s.NextRunAt, s.LastTickAt, s.LastOutcome, s.LastJobID, s.LastJobState, missed(s), brief(standing(s), 60))
	}
	return printRows(c, found, t, "no schedules; the first worker process brings the built-in ones")
}

// missed shows a count that stops at 1000.
func missed(s periodic.Schedule) string {
	if s.Missed >= 1000 {
		return "1,000+"
	}
	return fmt.Sprint(s.Missed)
}

// standing says in a word or a sentence whether ticks of the schedule are enqueued.
func standing(s periodic.Schedule) string {
	switch {
	case s.PausedAt != nil:
		return "paused since " + instant(*s.PausedAt)
	case s.Error != "":
		return "broken: " + s.Error
	case s.Overdue != nil && *s.Overdue > time.Minute:
		return "overdue by " + s.Overdue.String() + "; does a backoffice worker run?"
	}
	return "on time"
}

const (
	shownTicks = 5
	shownRuns  = 10
)

// scheduleStory is what show prints.
type scheduleStory struct {
	periodic.Schedule
	Upcoming []time.Time    `json:"upcoming"` // none while it is paused
	Runs     []periodic.Run `json:"runs"`     // the latest first
	Actions  []audit.Action `json:"actions"`  // of operators, the latest first
}

func schedulesShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show one schedule, its next ticks and what became of the last ones",
		ArgsUsage:   "NAME",
		Description: "  backoffice schedules show sales-summary-daily",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				story, err := readSchedule(c, pool, c.Args().First())
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, story)
				}
				return printSchedule(c, story)
			})
		},
	}
}

func readSchedule(c *cli.Context, pool *pgxpool.Pool, name string) (story scheduleStory, err error) {
	if story.Schedule, err = periodic.Get(c.Context, pool, name); err != nil {
		return story, err
	}
	if story.Runs, err = periodic.Runs(c.Context, pool, name, shownRuns); err != nil {
		return story, err
	}
	story.Upcoming = story.Schedule.Upcoming(shownTicks)
	story.Actions, err = audit.List(c.Context, pool, audit.Filter{Target: scheduleTarget(name), Limit: shownRuns})
	return story, err
}

// scheduleTarget is how audit_log names a schedule.
func scheduleTarget(name string) string { return "schedule " + name }

func printSchedule(c *cli.Context, s scheduleStory) error {
	facts := newTable("", "")
	facts.add("name", s.Name)
	facts.add("enqueues", s.Kind+" "+string(s.Args))
	facts.add("due", s.Spec+inZone(s.Schedule))
	facts.add("missed ticks", map[periodic.CatchUp]string{
		periodic.CatchUpAll: "all run (catch-up all)", periodic.CatchUpLatest: "the latest runs (catch-up latest)", periodic.CatchUpSkip: "none run (catch-up skip)",
	}[s.CatchUp])
	if s.JitterSeconds > 0 {
		facts.add("jitter", "up to "+(time.Duration(s.JitterSeconds)*time.Second).String())
	}
	facts.add("built in", s.BuiltIn)
	facts.add("standing", standing(s.Schedule))
	if err := facts.printPlain(c.App.Writer); err != nil {
		return err
	}
	if err := printUpcoming(c, s); err != nil {
		return err
	}
	if err := printf(c, "\nlast ticks\n"); err != nil {
		return err
	}
	runs := newTable("TICK", "OUTCOME", ">JOB", "JOB_STATE", "SETTLED_AT")
	for _, ran := range s.Runs {
		runs.add(ran.TickAt, ran.Outcome, ran.JobID, ran.JobState, ran.At)
	}
	if err := runs.print(c.App.Writer, "  ", "none yet"); err != nil || len(s.Actions) == 0 {
		return err
	}
	if err := printf(c, "\noperators\n"); err != nil {
		return err
	}
	actions := newTable("AT", "WHO", "DID", "WHAT")
	for _, done := range s.Actions {
		actions.add(done.At, done.Actor, strings.ReplaceAll(done.Action, "_", " "), done.Reason)
	}
	return actions.print(c.App.Writer, "  ", "")
}

// inZone names the timezone of a cron line.
func inZone(s periodic.Schedule) string {
	if strings.HasPrefix(s.Spec, "every ") {
		return ""
	}
	return ", " + s.Timezone
}

// printUpcoming shows the next ticks as the clocks of the schedule's timezone show them, and in UTC.
func printUpcoming(c *cli.Context, s scheduleStory) error {
	if len(s.Upcoming) == 0 {
		return nil
	}
	zone, err := periodic.ParseZone(s.Timezone)
	if err != nil {
		return err
	}
	if err := printf(c, "\nnext ticks\n"); err != nil {
		return err
	}
	ticks := newTable(strings.ToUpper(s.Timezone), "UTC")
	for _, tick := range s.Upcoming {
		ticks.add(tick.In(zone).Format("Mon 2006-01-02 15:04:05 -0700"), tick)
	}
	return ticks.print(c.App.Writer, "  ", "")
}
