package main

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/queue"
)

func workersCommand() *cli.Command {
	return &cli.Command{
		Name:        "workers",
		Usage:       "look at the worker processes",
		Description: "  backoffice workers list",
		Subcommands: []*cli.Command{workersListCommand()},
	}
}

func workersListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list worker processes, the newest first",
		Description: `  alive     beats, and works
  stopping  beats, and finishes the jobs it has
  frozen    has not beaten for --dead-after and still holds its lock: stopped, or starved
  silent    has not beaten for --dead-after and holds no lock: gone, or cut off
  dead      was declared dead; its jobs were given to others

SINCE tells when it began to stop or was declared dead; CRASHED_JOBS, how many jobs its death
interrupted. The dead are shown for an hour.

  backoffice workers list
  backoffice workers list --all        those that died earlier, too
  backoffice inspect workers           every column`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", EnvVars: []string{"BACKOFFICE_ALL_WORKERS"}, Usage: "also those declared dead more than an hour ago"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: 100, Usage: "how many `ROWS` at most, up to 10000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, mostRows); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				found, err := queue.ListWorkers(c.Context, pool, c.Bool("all"), c.Int("limit"))
				if err != nil {
					return err
				}
				return printRows(c, found, workersTable(found), "no worker processes; start one with backoffice worker")
			})
		},
	}
}

// workersTable leaves out host and process id, which the client id tells.
func workersTable(found []queue.WorkerProcess) *table {
	t := newTable("CLIENT_ID", "CONDITION", "SINCE", "QUEUES", ">RUNNING_JOBS", ">LAST_BEAT", "STARTED_AT", "VERSION", ">CRASHED_JOBS")
	for _, w := range found {
		since := w.StoppingAt
		if w.DeclaredDeadAt != nil {
			since = w.DeclaredDeadAt
		}
		t.add(w.ClientID, w.Condition, since, strings.Join(w.Queues, ", "), w.RunningJobs,
			ago(w.LastBeatAge), w.StartedAt, w.Version, w.CrashedJobs)
	}
	return t
}

// ago is how long ago something was, as exactly as it matters to a person.
func ago(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100*time.Millisecond).String() + " ago"
	}
	return d.Round(time.Second).String() + " ago"
}
