package queue_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// fencedWork is the work of one job in its fenced transaction.
type fencedWork func(ctx context.Context, tx pgx.Tx) (queue.Outcome, error)

// fences are the ways to commit a job's effects with its end. What one promises, all do.
var fences = []struct {
	name string
	in   func(ctx context.Context, pool *pgxpool.Pool, job *rivertype.JobRow, work fencedWork) error
}{
	{"alone", func(ctx context.Context, pool *pgxpool.Pool, job *rivertype.JobRow, work fencedWork) error {
		return queue.InJobTx(ctx, pool, job, func(tx pgx.Tx) (queue.Outcome, error) { return work(ctx, tx) })
	}},
	{"in a group", func(ctx context.Context, pool *pgxpool.Pool, job *rivertype.JobRow, work fencedWork) error {
		group := queue.NewGroup(pool, queue.DefaultGroup(), func(ctx context.Context, tx *queue.GroupTx, items []fencedWork, _ error) ([]queue.Verdict, error) {
			outcome, err := items[0](ctx, tx)
			return []queue.Verdict{{Outcome: outcome}}, err
		})
		return group.Work(ctx, job, work)
	}},
}

func TestFenceCommitsEffectsAndFinalStateTogether(t *testing.T) {
	t.Parallel()
	for _, fence := range fences {
		for _, tc := range []struct {
			name    string
			outcome queue.Outcome
			err     error
			state   rivertype.JobState
			effects int
			errors  []string
		}{
			{"completed", queue.Completed(), nil, rivertype.JobStateCompleted, 1, nil},
			{"cancelled keeps its effects and the reason", queue.Cancelled("out of range"), nil, rivertype.JobStateCancelled, 1, []string{"out of range"}},
			{"an error rolls back", queue.Outcome{}, errors.New("no luck"), rivertype.JobStateRunning, 0, nil},
			{"an outcome that is not final rolls back", queue.Outcome{}, nil, rivertype.JobStateRunning, 0, nil},
		} {
			t.Run(fence.name+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				pool := pgtest.Pool(t)
				exec(t, pool, `create table effects (n integer)`)
				attempts := make(chan attempt)
				newProbeProcess(t, pool, "only", 1, hold(attempts))
				id := insertProbe(t, pool, 1)
				held := <-attempts

				err := fence.in(t.Context(), pool, held.job, func(ctx context.Context, tx pgx.Tx) (queue.Outcome, error) {
					if _, err := tx.Exec(ctx, `insert into effects values (1)`); err != nil {
						return queue.Outcome{}, err
					}
					return tc.outcome, tc.err
				})
				if (err == nil) != (tc.state != rivertype.JobStateRunning) {
					t.Errorf("the fence: %v", err)
				}
				job := getJob(t, pool, id)
				if job.State != tc.state {
					t.Errorf("state = %s, want %s", job.State, tc.state)
				}
				if n := count(t, pool, `select count(*) from effects`); n != tc.effects {
					t.Errorf("%d effects, want %d", n, tc.effects)
				}
				for i, want := range tc.errors {
					if len(job.Errors) != len(tc.errors) || job.Errors[i].Error != want || job.Errors[i].Attempt != 1 {
						t.Errorf("errors = %+v, want %q of attempt 1", job.Errors, want)
					}
				}
				held.finish <- func() error { return nil }
				if tc.state != rivertype.JobStateRunning {
					waitState(t, pool, id, tc.state) // River's later nil changes nothing
				}
			})
		}
	}
}

func TestFenceLosesToWhoeverEndedTheAttempt(t *testing.T) {
	t.Parallel()
	for _, fence := range fences {
		for _, tc := range []struct{ name, sql string }{
			{"the job was taken back", `update river_job set state = 'available' where id = $1`},
			{"the job was taken back and fetched again", `update river_job set attempted_at = now() where id = $1`},
			{"the job was deleted", `delete from river_job where id = $1`},
			{"the job was completed", `update river_job set state = 'completed', finalized_at = now() where id = $1`},
		} {
			t.Run(fence.name+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				pool := pgtest.Pool(t)
				attempts := make(chan attempt)
				newProbeProcess(t, pool, "only", 1, hold(attempts))
				id := insertProbe(t, pool, 1)
				held := <-attempts
				exec(t, pool, tc.sql, id)
				err := fence.in(t.Context(), pool, held.job, func(context.Context, pgx.Tx) (queue.Outcome, error) {
					t.Error("work was called")
					return queue.Completed(), nil
				})
				if !errors.Is(err, queue.ErrAttemptLost) {
					t.Errorf("the fence: %v, want ErrAttemptLost", err)
				}
				held.finish <- func() error { return err }
			})
		}
	}
}

func TestStopGivesTheAttemptOfAFencedJobBack(t *testing.T) {
	t.Parallel()
	for _, fence := range fences {
		t.Run(fence.name, func(t *testing.T) {
			t.Parallel()
			pool := patientPool(t)
			process := newProbeProcess(t, pool, "only", 1, func(ctx context.Context, job *river.Job[probeArgs]) error {
				return fence.in(ctx, pool, job.JobRow, func(ctx context.Context, tx pgx.Tx) (queue.Outcome, error) {
					_, err := tx.Exec(ctx, `select pg_sleep(60)`)
					return queue.Completed(), err
				})
			})
			id := insertProbe(t, pool, 1)
			pgtest.Eventually(t, "the job's statement runs", func() (bool, error) {
				return count(t, pool, `select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query like 'select pg_sleep%'`) == 1, nil
			})
			process.stop()
			job := getJob(t, pool, id)
			if job.State != rivertype.JobStateAvailable || job.Attempt != 0 || len(job.Errors) != 0 {
				t.Errorf("job is %s at attempt %d with errors %+v, want available at attempt 0 with none", job.State, job.Attempt, job.Errors)
			}
			if n := process.config.Tally.Interrupted.Load(); n != 1 {
				t.Errorf("%d attempts counted as interrupted, want 1", n)
			}
		})
	}
}
