package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

func enqueueCleanUpCommand() *cli.Command {
	return &cli.Command{
		Name:  "clean-up",
		Usage: "delete now what is past its retention, or tell what would go",
		Description: `A dry run tells how many rows and bytes would go, the oldest and the newest, some of
them, and a number that is the same for the same set of rows. With its cutoff the run
that follows is about the same set, and says why not where it differs. With --wait
the exit code is 1 when a row could not be deleted, or could not be were it no dry run:
mostly one whose object lies in files, met by a worker without --store file:///DIR.

  backoffice enqueue clean-up --policy temp-files --dry-run --wait
  backoffice enqueue clean-up --policy temp-files --cutoff 2026-03-04T12:00:00.5Z --wait
  backoffice enqueue clean-up --wait            every policy that is enabled

For the policies see backoffice retention list.`,
		Flags: append(enqueueFlags(),
			&cli.StringFlag{Name: "policy", EnvVars: []string{"BACKOFFICE_POLICY"}, Usage: "`NAME` of one policy (default: all that are enabled)"},
			&cli.BoolFlag{Name: "dry-run", EnvVars: []string{"BACKOFFICE_DRY_RUN"}, Usage: "delete nothing, only tell what would go"},
			&cli.StringFlag{Name: "cutoff", EnvVars: []string{"BACKOFFICE_CUTOFF"},
				Usage: "spare what is younger than this `TIME` (RFC 3339), that of a dry run (default: the policy's age decides)"},
		),
		Action: func(c *cli.Context) error {
			args := jobs.CleanUpArgs{Policy: c.String("policy"), DryRun: c.Bool("dry-run")}
			if given := c.String("cutoff"); given != "" {
				cutoff, err := time.Parse(time.RFC3339, given)
				if err != nil {
					return usagef("--cutoff %q is no time; write it like 2026-01-31T08:00:00Z", given)
				}
				args.Cutoff = new(cutoff.UTC())
			}
			request, err := requestOf(c, args)
			if err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error { return enqueueCleanUp(c, pool, request, args.Policy) })
		},
	}
}

func enqueueCleanUp(c *cli.Context, pool *pgxpool.Pool, request jobRequest, policy string) error {
	if err := cleanup.AddMissingPolicies(c.Context, pool); err != nil {
		return err
	}
	if policy != "" {
		if _, err := cleanup.GetPolicy(c.Context, pool, policy); err != nil {
			return operatorError(err)
		}
	}
	if !c.Bool("wait") {
		return enqueueOne(c, pool, request)
	}
	job, err := putInQueue(c, pool, request)
	if err != nil {
		return err
	}
	runs, err := cleanedUp(c, pool, job.JobID)
	if err != nil {
		return err
	}
	if err := printCleanUp(c, job, runs); err != nil {
		return err
	}
	return errors.Join(job.failure(c), undeleted(runs))
}

// undeleted is the error of runs with rows that could not be deleted.
func undeleted(runs []cleanupRun) error {
	var failed error
	for _, run := range runs {
		if run.Errors == 0 {
			continue
		}
		verb := "could not delete"
		if run.DryRun {
			verb = "would not be able to delete"
		}
		failed = errors.Join(failed, fmt.Errorf("%s %s %s, the first %s", run.Policy, verb, count(int(run.Errors), "row"), run.Error))
	}
	return failed
}

// operatorError makes wrong usage of what somebody asked for that is not there or out of range.
func operatorError(err error) error {
	if errors.Is(err, cleanup.ErrInvalid) || errors.Is(err, cleanup.ErrNotFound) {
		return usagef("%w", err)
	}
	return err
}

// cleanupRun is a run and how it differs from what a dry run announced.
type cleanupRun struct {
	cleanup.Run
	AnnouncedBy *int64 `json:"announced_by,omitempty"` // the dry run of the same cutoff
	AsAnnounced *bool  `json:"as_announced,omitempty"` // the same set of rows
	Difference  string `json:"difference,omitempty"`
}

func cleanedUp(c *cli.Context, pool *pgxpool.Pool, jobID int64) ([]cleanupRun, error) {
	found, err := cleanup.RunsOf(c.Context, pool, jobID)
	if err != nil {
		return nil, err
	}
	runs := make([]cleanupRun, len(found))
	for i, run := range found {
		runs[i] = cleanupRun{Run: run}
		if run.DryRun {
			continue
		}
		announced, err := cleanup.Announced(c.Context, pool, run)
		if err != nil {
			return nil, err
		}
		if announced != nil {
			runs[i].compare(*announced)
		}
	}
	return runs, nil
}

// compare says how the run differs from what was announced. As many rows, or more, but not the same: then some
// went that the dry run had to leave out.
func (r *cleanupRun) compare(announced cleanup.Run) {
	r.AnnouncedBy, r.AsAnnounced = &announced.ID, new(announced.SetHash.Equal(r.SetHash))
	if *r.AsAnnounced {
		return
	}
	r.Difference = fmt.Sprintf("dry run %d announced %s, this run deleted %s: ", announced.ID, thousands(announced.Rows), thousands(r.Rows))
	if r.Rows >= announced.Rows {
		r.Difference += fmt.Sprintf("%s or more held, needed or out of reach then, or made old since", thousands(max(r.Rows-announced.Rows, 1)))
		return
	}
	held, failed := max(r.Held-announced.Held, 0), max(r.Errors-announced.Errors, 0)
	r.Difference += fmt.Sprintf("%s held since, %s could not be deleted, %s changed, were locked or went otherwise",
		thousands(held), thousands(failed), thousands(max(announced.Rows-r.Rows-held-failed, 0)))
}

func printCleanUp(c *cli.Context, job enqueuedJob, runs []cleanupRun) error {
	if wantsJSON(c) {
		return printJSON(c, struct {
			enqueuedJob
			Runs []cleanupRun `json:"runs"`
		}{job, append([]cleanupRun{}, runs...)})
	}
	if err := printEnqueued(c, job); err != nil {
		return err
	}
	for _, run := range runs {
		if err := printCleanupRun(c, run); err != nil {
			return err
		}
	}
	return nil
}

func printCleanupRun(c *cli.Context, r cleanupRun) error {
	what := "deleted"
	if r.DryRun {
		what = "would delete"
	}
	if err := printf(c, "\n%s %s %s of %s\n", r.Policy, what, count(int(r.Rows), "row"), r.Target); err != nil {
		return err
	}
	facts := newTable("", "")
	facts.add("  cutoff", r.Cutoff.UTC().Format(time.RFC3339Nano))
	facts.add("  bytes", thousands(r.Bytes))
	facts.add("  held", thousands(r.Held))
	facts.add("  errors", thousands(r.Errors))
	if r.Rows > 0 {
		facts.add("  oldest", r.Oldest)
		facts.add("  newest", r.Newest)
		facts.add("  set", r.SetHash)
	}
	if r.Error != "" {
		facts.add("  error", r.Error)
	}
	for i, named := range r.Sample {
		facts.add(map[bool]string{true: "  such as"}[i == 0], named)
	}
	switch {
	case r.DryRun && r.Rows > 0:
		facts.add("  delete it", fmt.Sprintf("backoffice enqueue clean-up --policy %s --cutoff %s --wait", r.Policy, r.Cutoff.UTC().Format(time.RFC3339Nano)))
	case r.Difference != "":
		facts.add("  differs", r.Difference)
	case r.AnnouncedBy != nil:
		facts.add("  announced", fmt.Sprintf("by dry run %d: the same set", *r.AnnouncedBy))
	}
	return facts.printPlain(c.App.Writer)
}
