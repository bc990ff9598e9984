package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestGroupCommitsEffectsAndFinalStatesTogether(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{work: func(_ context.Context, _ pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		if job.Args.N%5 == 3 {
			return queue.Verdict{Outcome: queue.Cancelled(fmt.Sprintf("no use %d", job.Args.N))}, nil
		}
		return queue.Verdict{Outcome: queue.Completed()}, nil
	}})
	ids, release := c.gather(t, probes(20)...)
	release()
	for n, id := range ids {
		if n%5 != 3 {
			waitState(t, c.pool, id, rivertype.JobStateCompleted)
			continue
		}
		job := waitState(t, c.pool, id, rivertype.JobStateCancelled)
		if want := fmt.Sprintf("no use %d", n); len(job.Errors) != 1 || job.Errors[0].Error != want || job.Errors[0].Attempt != 1 {
			t.Errorf("errors of job %d = %+v, want %q of attempt 1", id, job.Errors, want)
		}
	}
	c.effects(t, 1, ids...)
	// River's own outcomes are behind the stop: what a row says then, the commit of the effects has written.
	c.stop()
	if n := count(t, c.pool, `select count(distinct xmin::text) from (select xmin from effects union all select xmin from river_job where id = any($1)) written`, ids); n != 1 {
		t.Errorf("%d transactions wrote the effects and the final states of %d jobs, want 1", n, len(ids))
	}
	if n := c.config.Tally.Cancelled.Load(); n != 4 {
		t.Errorf("%d attempts counted as cancelled, want 4", n)
	}
}

func TestLoneJobIsCommittedAtOnce(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{GroupConfig: queue.DefaultGroup()})
	for range 3 {
		c.unharmed(t, insertProbe(t, c.pool, 1))
	}
	if n := len(c.tried()); n != 3 {
		t.Errorf("%d transactions, want 3", n)
	}
}

func TestGroupKeepsItsBounds(t *testing.T) {
	t.Parallel()
	const size, committers, jobs = 7, 3, 150
	together := make(chan struct{}, committers) // one for each committer that has come
	c := startCrowd(t, crowdConfig{GroupConfig: queue.GroupConfig{Size: size, Committers: committers}})
	full := make(chan struct{})
	c.work = func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		select {
		case together <- struct{}{}: // wait until all committers are there
			if len(together) == committers {
				close(full)
			}
			select {
			case <-full:
			case <-ctx.Done():
			}
		default:
		}
		return completed(ctx, tx, job)
	}
	c.unharmed(t, insertProbes(t, c.pool, probes(jobs)...)...)
	if c.most != committers {
		t.Errorf("%d transactions at once, want %d", c.most, committers)
	}
	for _, jobs := range c.tried() {
		if len(jobs) > size {
			t.Errorf("%d jobs in one transaction, want %d at most", len(jobs), size)
		}
	}
}

func TestGroupWaitsToFillATransaction(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule string
		wait time.Duration
		jobs int
	}{
		{"until it is full", time.Hour, 10},
		{"for so long only", 50 * time.Millisecond, 3},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			c := startCrowd(t, crowdConfig{GroupConfig: queue.GroupConfig{Size: 10, Committers: 1, Wait: tc.wait}})
			var ids []int64
			for n := range tc.jobs {
				ids = append(ids, insertProbe(t, c.pool, n))
			}
			c.unharmed(t, ids...)
			if n := len(c.tried()); tc.wait == time.Hour && n != 1 {
				t.Errorf("%d transactions for as many jobs as one may have", n)
			}
		})
	}
}

func TestGroupIsIdleWithoutJobs(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{GroupConfig: queue.GroupConfig{Size: 2, Committers: 4}})
	for range 3 {
		c.unharmed(t, insertProbes(t, c.pool, probes(30)...)...)
		pgtest.Eventually(t, "every committer has ended", func() (bool, error) { return c.group.Committing() == 0, nil })
	}
}
