package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/report"
)

func jobsCommand() *cli.Command {
	return &cli.Command{
		Name:  "jobs",
		Usage: "look at jobs, run one again, cancel one",
		Description: `  backoffice jobs list --state discarded
  backoffice jobs show 123
  backoffice jobs retry 123

For causes with counts, see backoffice inspect failures.`,
		Subcommands: []*cli.Command{jobsListCommand(), jobsShowCommand(), jobsRetryCommand(), jobsCancelCommand()},
	}
}

// mostJobs is River's own limit of a page.
const mostJobs = 10_000

func jobsListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list jobs, the newest first",
		Description: `  backoffice jobs list --state retryable --state discarded
  backoffice jobs list --kind process_order --limit 10
  backoffice jobs list --after 1200        the page after the one that ended with id 1200`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "state", EnvVars: []string{"BACKOFFICE_JOB_STATES"},
				Usage: "only jobs in this `STATE`: " + strings.Join(states(), ", ") + "; repeatable"},
			&cli.StringSliceFlag{Name: "kind", EnvVars: []string{"BACKOFFICE_JOB_KINDS"}, Usage: "only jobs of this `KIND`; repeatable"},
			&cli.StringSliceFlag{Name: "queue", EnvVars: []string{"BACKOFFICE_JOB_QUEUES"}, Usage: "only jobs of the queue of this `NAME`; repeatable"},
			&cli.Int64Flag{Name: "after", EnvVars: []string{"BACKOFFICE_AFTER"}, DefaultText: "from the newest", Usage: "`ID` that the page before ended with"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: 50, Usage: "how many `ROWS` at most, up to 10000"},
		},
		Action: listJobs,
	}
}

func states() []string {
	var names []string
	for _, state := range rivertype.JobStates() {
		names = append(names, string(state))
	}
	return names
}

func listJobs(c *cli.Context) error {
	if err := checkLimit(c, mostJobs); err != nil {
		return err
	}
	params := river.NewJobListParams().First(c.Int("limit")).OrderBy(river.JobListOrderByID, river.SortOrderDesc)
	for _, name := range c.StringSlice("state") {
		if !slices.Contains(states(), name) {
			return usagef("--state %q is unknown; use %s", name, strings.Join(states(), ", "))
		}
	}
	if given := c.StringSlice("state"); len(given) > 0 {
		params = params.States(convert[rivertype.JobState](given)...)
	}
	if given := c.StringSlice("kind"); len(given) > 0 {
		params = params.Kinds(given...)
	}
	if given := c.StringSlice("queue"); len(given) > 0 {
		params = params.Queues(given...)
	}
	if after := c.Int64("after"); after > 0 {
		params = params.After(river.JobListCursorFromJob(&rivertype.JobRow{ID: after}))
	}
	return withClient(c, func(_ *pgxpool.Pool, client *river.Client[pgx.Tx]) error {
		found, err := client.JobList(c.Context, params)
		if err != nil {
			return fmt.Errorf("list jobs: %w", err)
		}
		return printJobs(c, found.Jobs)
	})
}

func convert[T ~string](names []string) []T {
	converted := make([]T, len(names))
	for i, name := range names {
		converted[i] = T(name)
	}
	return converted
}

func jobsShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show one job with its args and the errors of its attempts",
		ArgsUsage:   "ID",
		Description: "  backoffice jobs show 123",
		Action: func(c *cli.Context) error {
			id, err := idArg(c.Args().First())
			if err != nil {
				return err
			}
			return withClient(c, func(_ *pgxpool.Pool, client *river.Client[pgx.Tx]) error {
				job, err := getJob(c, client, id)
				if err != nil {
					return err
				}
				return printJob(c, job)
			})
		},
	}
}

func jobsRetryCommand() *cli.Command {
	return &cli.Command{
		Name:      "retry",
		Usage:     "run jobs again now, finished ones too",
		ArgsUsage: "ID...",
		Description: `A discarded or cancelled job becomes available, with one more attempt where they were
used up; one that waits for its next attempt stops waiting. That it was running when
processes died is forgotten. The job of a cancelled report does not run again: ask for the
report anew.

  backoffice jobs retry 123
  backoffice jobs retry 123 124 125`,
		Action: func(c *cli.Context) error { return eachJob(c, retryJob) },
	}
}

func retryJob(c *cli.Context, pool *pgxpool.Pool, client *queue.Client, id int64) (*rivertype.JobRow, error) {
	err := operate(c, pool, &audit.Action{Action: "retry_job", Target: fmt.Sprintf("job %d", id)}, func(tx pgx.Tx) error {
		if _, err := queue.RetryJob(c.Context, tx, client, id); err != nil {
			return err
		}
		return report.Retried(c.Context, tx, id)
	})
	if err != nil {
		return nil, err
	}
	return getJob(c, client, id)
}

func jobsCancelCommand() *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "cancel jobs that are not finished",
		ArgsUsage: "ID...",
		Description: `A running job is asked to stop; it is cancelled when its attempt returns. The job of an
order that is not final is refused: see backoffice orders cancel, which ends both. The
report that a job makes is cancelled with it.

  backoffice jobs cancel 123`,
		Action: func(c *cli.Context) error { return eachJob(c, cancelJob) },
	}
}

func cancelJob(c *cli.Context, pool *pgxpool.Pool, client *queue.Client, id int64) (*rivertype.JobRow, error) {
	err := operate(c, pool, &audit.Action{Action: "cancel_job", Target: fmt.Sprintf("job %d", id)}, func(tx pgx.Tx) error {
		open, err := order.OpenOrderOf(c.Context, tx, id)
		if err != nil {
			return err
		}
		if open != 0 {
			return fmt.Errorf("order %d is not final and depends on job %d; cancel the order, and its job goes with it: backoffice orders cancel %d", open, id, open)
		}
		made, err := report.OfJob(c.Context, tx, id)
		if err != nil {
			return err
		}
		if made != 0 {
			_, err = report.Cancel(c.Context, tx, client, made, time.Now())
			return err
		}
		_, err = queue.CancelJob(c.Context, tx, client, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return getJob(c, client, id)
}

func getJob(c *cli.Context, client *river.Client[pgx.Tx], id int64) (*rivertype.JobRow, error) {
	job, err := client.JobGet(c.Context, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil, fmt.Errorf("job %d does not exist", id)
	}
	if err != nil {
		return nil, fmt.Errorf("get job %d: %w", id, err)
	}
	return job, nil
}

// eachJob changes the jobs that the arguments name, one by one, and prints those that were changed
// even when a later one cannot be.
func eachJob(c *cli.Context, change func(*cli.Context, *pgxpool.Pool, *river.Client[pgx.Tx], int64) (*rivertype.JobRow, error)) error {
	ids := make([]int64, c.NArg())
	for i, arg := range c.Args().Slice() {
		var err error
		if ids[i], err = idArg(arg); err != nil {
			return err
		}
	}
	return withClient(c, func(pool *pgxpool.Pool, client *river.Client[pgx.Tx]) error {
		var changed []*rivertype.JobRow
		var failed error
		for _, id := range ids {
			job, err := change(c, pool, client, id)
			if err != nil {
				failed = err
				break
			}
			changed = append(changed, job)
		}
		if len(changed) > 0 {
			failed = errors.Join(failed, printJobs(c, changed))
		}
		return failed
	})
}

// withClient runs a command on the client that never works a job.
func withClient(c *cli.Context, command func(*pgxpool.Pool, *river.Client[pgx.Tx]) error) error {
	return withPool(c, func(pool *pgxpool.Pool) error {
		client, err := queue.NewInserter(pool)
		if err != nil {
			return err
		}
		return command(pool, client)
	})
}
