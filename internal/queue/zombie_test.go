package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// attempt is an attempt that a test holds open.
type attempt struct {
	job    *rivertype.JobRow
	finish chan func() error // what the worker does before it returns
}

// hold makes a worker's attempts wait for the test, or for the stop at its end.
func hold(attempts chan<- attempt) func(context.Context, *river.Job[probeArgs]) error {
	return func(ctx context.Context, job *river.Job[probeArgs]) error {
		a := attempt{job: job.JobRow, finish: make(chan func() error)}
		select {
		case attempts <- a:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case finish := <-a.finish:
			return finish()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeBack does to a running job what a rescue does: it becomes available again.
func takeBack(t *testing.T, pool *pgxpool.Pool, id int64) {
	t.Helper()
	exec(t, pool, `update river_job set state = 'available' where id = $1`, id)
	exec(t, pool, `select pg_notify(current_schema() || '.river_insert', '{"queue":"probes"}')`)
}

// zombieOutcomes are the ways in which an attempt thought dead may come back.
var zombieOutcomes = []struct {
	name   string
	finish func() error
}{
	{"nil", func() error { return nil }},
	{"error", func() error { return errors.New("too late") }},
	{"snooze", func() error { return river.JobSnooze(time.Hour) }},
	{"short snooze", func() error { return river.JobSnooze(0) }},
	{"cancel", func() error { return river.JobCancel(errors.New("too late")) }},
	{"panic", func() error { panic("too late") }},
}

func TestZombieOutcomeLeavesTheNextAttemptUntouched(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"in another process", "in the same process"} {
		for _, zombie := range zombieOutcomes {
			t.Run(where+", "+zombie.name, func(t *testing.T) {
				t.Parallel()
				pool := pgtest.Pool(t)
				attempts := make(chan attempt)
				slots := 1
				if where == "in the same process" {
					slots = 2
				}
				first := newProbeProcess(t, pool, "first", slots, hold(attempts))
				id := insertProbe(t, pool, 1)
				one := <-attempts
				if where == "in another process" {
					newProbeProcess(t, pool, "second", 1, hold(attempts))
				}
				takeBack(t, pool, id)
				two := <-attempts
				before := getJob(t, pool, id)

				one.finish <- zombie.finish
				pgtest.Eventually(t, "the zombie's outcome is dropped", func() (bool, error) {
					return strings.Contains(first.logged.String(), "stale outcome dropped"), nil
				})
				if diff := cmp.Diff(before, getJob(t, pool, id)); diff != "" {
					t.Errorf("the zombie changed the job (-before +after):\n%s", diff)
				}

				two.finish <- func() error { return nil }
				done := waitState(t, pool, id, rivertype.JobStateCompleted)
				if done.Attempt != 2 || len(done.Errors) != 0 {
					t.Errorf("attempt = %d with %d errors, want attempt 2 with none", done.Attempt, len(done.Errors))
				}
				if strings.Contains(string(done.Metadata), "backoffice") {
					t.Errorf("the attempt's token reached the table: %s", done.Metadata)
				}
			})
		}
	}
}

func TestZombieEffectsAreRolledBack(t *testing.T) {
	t.Parallel()
	for _, fence := range fences {
		for _, tc := range []struct {
			name        string
			zombieFirst bool
		}{
			{"the zombie commits while the next attempt runs", true},
			{"the zombie commits after the next attempt has completed", false},
		} {
			t.Run(fence.name+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				pool := pgtest.Pool(t)
				exec(t, pool, `create table effects (attempt integer)`)
				attempts := make(chan attempt)
				zombie := newProbeProcess(t, pool, "first", 1, hold(attempts))
				id := insertProbe(t, pool, 1)
				one := <-attempts
				newProbeProcess(t, pool, "second", 1, hold(attempts))
				takeBack(t, pool, id)
				two := <-attempts

				zombieErr := make(chan error, 1)
				finishOne := func() {
					one.finish <- func() error {
						err := fence.in(t.Context(), pool, one.job, effect(one.job))
						zombieErr <- err
						return err
					}
					if err := <-zombieErr; !errors.Is(err, queue.ErrAttemptLost) {
						t.Errorf("the zombie's fence: %v, want ErrAttemptLost", err)
					}
					zombie.stop()
				}
				if tc.zombieFirst {
					finishOne()
				}
				two.finish <- func() error { return fence.in(t.Context(), pool, two.job, effect(two.job)) }
				waitState(t, pool, id, rivertype.JobStateCompleted)
				if !tc.zombieFirst {
					finishOne()
				}

				if n := count(t, pool, `select count(*) from effects`); n != 1 {
					t.Errorf("%d effects, want 1", n)
				}
				if job := getJob(t, pool, id); job.State != rivertype.JobStateCompleted || job.Attempt != 2 || len(job.Errors) != 0 {
					t.Errorf("job is %s at attempt %d with %d errors, want completed at attempt 2 with none", job.State, job.Attempt, len(job.Errors))
				}
			})
		}
	}
}

// effect leaves one row.
func effect(job *rivertype.JobRow) fencedWork {
	return func(ctx context.Context, tx pgx.Tx) (queue.Outcome, error) {
		_, err := tx.Exec(ctx, `insert into effects values ($1)`, job.Attempt)
		return queue.Completed(), err
	}
}
