package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// block takes a row that the work of a crowd needs, until release is called.
func block(t *testing.T, c *crowd) (release func()) {
	t.Helper()
	exec(t, c.pool, `create table needed (id integer); insert into needed values (1)`)
	other, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `select from needed for update`); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = other.Rollback(context.Background()) })
	t.Cleanup(release)
	return release
}

// needs is a probe's work that waits for the row; only probe 0 does.
func needs(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
	if job.Args.N == 0 {
		if _, err := tx.Exec(ctx, `select /* blocked */ from needed for update`); err != nil {
			return queue.Verdict{}, err
		}
	}
	return completed(ctx, tx, job)
}

// blocked waits until the work waits for the row.
func (c *crowd) blocked(t *testing.T) {
	t.Helper()
	pgtest.Eventually(t, "the work waits for the row", func() (bool, error) {
		return count(t, c.pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'select /* blocked */%'`) == 1, nil
	})
}

func TestJobThatTimesOutInABlockedTransactionFailsAlone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		slow int // the probe with a time-out
	}{
		{"the one that blocks", 0},
		{"a neighbour", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startCrowd(t, crowdConfig{pool: patientPool(t), work: needs})
			release := block(t, c)
			numbered := probes(10)
			numbered[tc.slow].Within = 2 * time.Second
			ids, unplug := c.gather(t, numbered...)
			unplug()
			c.blocked(t)
			slow := ids[tc.slow]
			pgtest.Eventually(t, "its time is out", func() (bool, error) { return len(getJob(t, c.pool, slow).Errors) > 0, nil })
			if tc.slow == 0 {
				c.unharmed(t, but(ids, slow)...) // without it nothing blocks
			}
			release()
			c.unharmed(t, but(ids, slow)...)
			job := waitState(t, c.pool, slow, rivertype.JobStateCompleted)
			for i, failed := range job.Errors {
				if failed.Attempt != i+1 || !strings.Contains(failed.Error, "deadline exceeded") {
					t.Errorf("error %d is %+v, want that of its time-out", i, failed)
				}
			}
			c.effects(t, 1, slow)
		})
	}
}

func TestPersonCancelsAJobOfAGroup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		fail bool // the transaction fails, and its first half blocks
	}{
		{"that waits for a committer", false},
		{"that waits for the other half of its transaction", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			c := startCrowd(t, crowdConfig{pool: patientPool(t), work: func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (verdict queue.Verdict, err error) {
				if tc.fail {
					once.Do(func() { err = errors.New("no luck") })
				}
				if err != nil {
					return verdict, err
				}
				return needs(ctx, tx, job)
			}})
			release := block(t, c)
			ids, unplug := c.gather(t, probes(10)...)
			cancelled := ids[8]
			if tc.fail {
				unplug()
				c.blocked(t)
			}
			client, err := queue.NewInserter(c.pool)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.JobCancel(t.Context(), cancelled); err != nil {
				t.Fatal(err)
			}
			if job := waitState(t, c.pool, cancelled, rivertype.JobStateCancelled); job.Attempt != 1 {
				t.Errorf("cancelled at attempt %d, want 1", job.Attempt)
			}
			unplug()
			release()
			c.unharmed(t, but(ids, cancelled)...)
			c.effects(t, 0, cancelled)
			if n := c.config.Tally.Cancelled.Load() + c.config.Tally.Interrupted.Load(); n != 1 {
				t.Errorf("%d attempts counted as ended by a person, want 1", n)
			}
		})
	}
}

func TestSoftStopLetsATransactionFinish(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{pool: patientPool(t), work: needs})
	release := block(t, c)
	ids, unplug := c.gather(t, probes(10)...)
	unplug()
	c.blocked(t)
	stopped := make(chan error, 1)
	go func() { stopped <- c.client.Stop(context.Background()) }()
	late := insertProbe(t, c.pool, 1) // fetched or not, it ends well
	release()
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	c.unharmed(t, ids...)
	if job := getJob(t, c.pool, late); job.State != rivertype.JobStateAvailable && job.State != rivertype.JobStateCompleted {
		t.Errorf("the late job is %s", job.State)
	}
}

func TestHardStopGivesEveryAttemptOfAGroupBack(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{GroupConfig: queue.GroupConfig{Size: 10, Committers: 1}, pool: patientPool(t), work: needs})
	block(t, c)
	ids, unplug := c.gather(t, probes(30)...) // one transaction blocks, the others wait
	unplug()
	c.blocked(t)
	c.stop()
	if n := count(t, c.pool, `select count(*) from river_job where id = any($1) and state = 'available' and attempt = 0 and coalesce(cardinality(errors), 0) = 0`, ids); n != len(ids) {
		t.Errorf("%d of %d attempts are given back", n, len(ids))
	}
	c.effects(t, 0, ids...)
	if n := c.config.Tally.Interrupted.Load(); n != int64(len(ids)) {
		t.Errorf("%d attempts counted as interrupted, want %d", n, len(ids))
	}
}
