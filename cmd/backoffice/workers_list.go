package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/postgres"
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
		Description: `alive     beats, and works
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
				found, err := listWorkers(c.Context, pool, c.Bool("all"), c.Int("limit"))
				if err != nil {
					return err
				}
				return printRows(c, found, workersTable(found), "no worker processes; start one with backoffice worker")
			})
		},
	}
}

// listedWorker is a worker process as the command line shows it.
type listedWorker struct {
	ClientID       string        `json:"client_id"`
	Condition      string        `json:"condition"` // alive, stopping, frozen, silent or dead
	Host           string        `json:"host"`
	PID            int           `json:"pid"`
	Version        string        `json:"version"`
	Queues         []string      `json:"queues"`
	RunningJobs    int           `json:"running_jobs"`
	LastBeatAge    time.Duration `json:"-"`
	LastBeatSecs   float64       `json:"last_beat_age_seconds"`
	StartedAt      time.Time     `json:"started_at"`
	StoppingAt     *time.Time    `json:"stopping_at"`
	DeclaredDeadAt *time.Time    `json:"declared_dead_at"`
	CrashedJobs    int           `json:"crashed_jobs"` // whose latest crash was the death of this process
}

const listWorkersSQL = `
select /* workers list */ client_id, condition, host, pid, version, queues, running_jobs, last_beat_age,
       extract(epoch from last_beat_age)::float8, started_at, stopping_at, declared_dead_at, crashed_jobs
  from inspect.workers
 where $1
    or declared_dead_at is null
    or declared_dead_at > now() - interval '1 hour'
 order by started_at desc, client_id
 limit $2`

// listWorkers answers at most limit worker processes, the newest first; all of them, or without those
// declared dead more than an hour ago.
func listWorkers(ctx context.Context, db postgres.DB, all bool, limit int) ([]listedWorker, error) {
	rows, err := db.Query(ctx, listWorkersSQL, all, limit)
	if err != nil {
		return nil, fmt.Errorf("list worker processes: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[listedWorker])
	if err != nil {
		return nil, fmt.Errorf("list worker processes: %w", err)
	}
	return found, nil
}

// workersTable leaves out host and process id, which the client id tells.
func workersTable(found []listedWorker) *table {
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
