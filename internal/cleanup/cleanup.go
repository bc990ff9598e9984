// Package cleanup deletes what is past its retention, and nothing else. A policy, a row of
// retention_policies, says how old the rows of its target may become; a hold keeps a row whatever its age;
// each run leaves a row in cleanup_runs. What a target is, and how its rows are found and deleted, is
// known here; when cleanup runs, and under which fence, is not.
//
// The bytes of a row may lie outside the database, where no transaction reaches. So its deletion takes
// three steps: mark the row, delete the objects, delete the row. A crash leaves marked rows, which the
// next run finishes; nobody reads a marked row, and no hold can be placed on it. What lies in the
// database, rows and objects alike, goes in one transaction and needs no mark.
//
// Holds and deletion meet at the row's lock. A batch is locked first, and then, in a statement later than
// the locks, looked up among the holds: in one statement the snapshot would be older than the locks, and
// miss a hold that was placed while it waited for them. Whoever places a hold locks the row as well.
package cleanup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/store"
	"backoffice/jobs"
)

// What callers branch on. The text around it is a sentence.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("invalid")
	ErrDeleting = errors.New("being deleted already") // a hold that comes too late
	ErrHeld     = errors.New("held already")
)

// Cleaner deletes what policies say.
type Cleaner struct {
	Pool   *pgxpool.Pool
	Stores *store.Stores
	Log    *slog.Logger
	// Fence runs work once, in a transaction that commits only if the attempt of the job is still ours.
	Fence  func(ctx context.Context, work func(pgx.Tx) error) error
	JobID  int64         // of the job that asks; 0: none does
	Budget time.Duration // after which Run answers More once the step it is at is made; 0: none
}

// Outcome is what a Run came to.
type Outcome struct {
	More    bool     // the time was up: calling again goes on
	Refused []string // why policies were refused by their safety cap, a sentence each
}

// Run deletes, or with DryRun only tells, what is past the retention of the policy that args name, or of
// all that are enabled. A job that calls it again, because there was More or because an attempt failed,
// goes on where it stopped, and makes a step at least, however short the budget. The error of one policy
// stops no other; they are answered together, and with More: what has failed is then tried again.
// ErrNotFound: there is no such policy.
func (c *Cleaner) Run(ctx context.Context, args jobs.CleanUpArgs) (Outcome, error) {
	if err := AddMissingPolicies(ctx, c.Pool); err != nil {
		return Outcome{}, err
	}
	policies, err := c.chosen(ctx, args.Policy)
	if err != nil {
		return Outcome{}, err
	}
	var outcome Outcome
	var failed error
	deadline := time.Now().Add(c.Budget)
	for _, p := range policies {
		done, err := c.apply(ctx, p, args, deadline)
		var refusal *refusedError
		switch {
		case errors.As(err, &refusal):
			outcome.Refused = append(outcome.Refused, refusal.Error())
		case ctx.Err() != nil:
			return outcome, errors.Join(failed, err)
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("clean up by policy %s: %w", p.Name, err))
		case !done:
			outcome.More = true
			return outcome, failed
		}
	}
	return outcome, failed
}

// chosen answers the policy of a name, or all that are enabled.
func (c *Cleaner) chosen(ctx context.Context, name string) ([]Policy, error) {
	if name != "" {
		p, err := GetPolicy(ctx, c.Pool, name)
		return []Policy{p}, err
	}
	all, err := ListPolicies(ctx, c.Pool)
	if err != nil {
		return nil, err
	}
	var enabled []Policy
	for _, p := range all {
		if p.Enabled {
			enabled = append(enabled, p)
		}
	}
	return enabled, nil
}

const closeRunsSQL = `
update /* cleanup.Close */ cleanup_runs
   set job_done = true
 where job_id = $1
   and not job_done`

// Close ends the runs of a job in the transaction that completes it: should somebody run the job again, it
// begins anew.
func Close(ctx context.Context, tx pgx.Tx, jobID int64) error {
	if _, err := tx.Exec(ctx, closeRunsSQL, jobID); err != nil {
		return fmt.Errorf("close the cleanup runs of job %d: %w", jobID, err)
	}
	return nil
}

// apply makes one policy's run, or goes on with the one that this job has begun. done says that it is over.
func (c *Cleaner) apply(ctx context.Context, p Policy, args jobs.CleanUpArgs, deadline time.Time) (done bool, err error) {
	r := &run{Cleaner: c, policy: p, dry: args.DryRun, deadline: deadline}
	finished, err := r.begin(ctx, args.Cutoff)
	if err != nil || finished {
		return finished, err
	}
	if p.Target == orphans {
		done, err = r.sweepOrphans(ctx)
	} else {
		done, err = r.deleteRows(ctx)
	}
	if err == nil && !done {
		return false, nil
	}
	return done, r.end(ctx, err)
}
