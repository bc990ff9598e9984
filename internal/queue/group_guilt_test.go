package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// halving finds one of 64 jobs in 1 + 2*6 transactions, and another one in 2*6 more.
const halving = 25

// guilts are the ways in which a job may spoil a transaction.
var guilts = []struct {
	name  string
	tries int    // most transactions until it is found among 64 jobs with another one; 0: any number
	want  string // in its error
	work  probeWork
}{
	{"a verdict", 1, "no luck", func(_ context.Context, _ pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		return queue.Verdict{Err: fmt.Errorf("probe %d: no luck", job.Args.N)}, nil
	}},
	{"an error of the work", halving, "no luck", func(_ context.Context, _ pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		return queue.Verdict{}, fmt.Errorf("probe %d: no luck", job.Args.N)
	}},
	{"a panic", halving, "no idea", func(_ context.Context, _ pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		panic(fmt.Sprintf("probe %d: no idea", job.Args.N))
	}},
	{"no final outcome", halving, "no final outcome", func(context.Context, pgx.Tx, *river.Job[probeArgs]) (queue.Verdict, error) {
		return queue.Verdict{}, nil
	}},
	{"a constraint", halving, "23514", statement(`insert into small values ($1)`)},
	{"a constraint that the commit looks at", halving, "late", statement(`insert into late values ($1)`)},
	{"a serialization failure", halving, "40001", statement(`select conflict($1)`)},
	{"bytes that Postgres refuses", halving, "22021", statement(`select $1::text || E'\xff'`)},
	// Its locks outlive the transaction for a moment, which others then wait for.
	{"the end of its own connection", 0, "57P01", statement(`select pg_terminate_backend(pg_backend_pid()), $1::integer`)},
}

const guiltsSQL = `
create table small (n integer check (n < 0));
create table late (n integer);
create function too_late() returns trigger language plpgsql as $$begin raise exception 'late %', new.n; end$$;
create constraint trigger too_late after insert on late deferrable initially deferred for each row execute function too_late();
create function conflict(n integer) returns void language plpgsql as $$begin raise exception 'conflict %', n using errcode = '40001'; end$$;`

// statement is a probe's work that carries out a statement with its number.
func statement(sql string) probeWork {
	return func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		if _, err := tx.Exec(ctx, sql, job.Args.N); err != nil {
			return queue.Verdict{}, fmt.Errorf("probe %d: %w", job.Args.N, err)
		}
		return queue.Verdict{Outcome: queue.Completed()}, nil
	}
}

func TestExactlyTheGuiltyFail(t *testing.T) {
	t.Parallel()
	for _, guilt := range guilts {
		t.Run(guilt.name, func(t *testing.T) {
			t.Parallel()
			const jobs = 64
			guilty := []int{23, 42}
			c := startCrowd(t, crowdConfig{work: func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
				if slices.Contains(guilty, job.Args.N) {
					return guilt.work(ctx, tx, job)
				}
				return completed(ctx, tx, job)
			}})
			exec(t, c.pool, guiltsSQL)
			ids, release := c.gather(t, probes(jobs)...)
			release()
			for _, n := range guilty {
				job := waitState(t, c.pool, ids[n], rivertype.JobStateDiscarded)
				if job.Attempt != probeContract.MaxAttempts || len(job.Errors) != job.Attempt {
					t.Errorf("probe %d: attempt %d with %d errors, want %d of both", n, job.Attempt, len(job.Errors), probeContract.MaxAttempts)
				}
				for i, failed := range job.Errors {
					other := guilty[0] + guilty[1] - n
					if failed.Attempt != i+1 || !strings.Contains(failed.Error, guilt.want) || strings.Contains(failed.Error, fmt.Sprintf("probe %d", other)) {
						t.Errorf("probe %d: error %d is %+v, want its own %q", n, i, failed, guilt.want)
					}
				}
			}
			innocent := but(ids, ids[guilty[0]], ids[guilty[1]])
			c.unharmed(t, innocent...)
			c.effects(t, 0, ids[guilty[0]], ids[guilty[1]])
			if n := len(c.tried()); guilt.tries > 0 && n > guilt.tries {
				t.Errorf("%d transactions for %d jobs, %d of them guilty, want %d at most", n, jobs, len(guilty), guilt.tries)
			}
		})
	}
}

func TestPanicOfTheWorkIsThatOfTheJob(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{work: func(_ context.Context, _ pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		panic("unlucky")
	}})
	job := waitState(t, c.pool, insertProbe(t, c.pool, 1), rivertype.JobStateDiscarded)
	if !strings.Contains(job.Errors[0].Error, "group_guilt_test.go") || job.Errors[0].Trace == "" {
		t.Errorf("error %+v, want where the work has panicked, and a trace", job.Errors[0])
	}
	if !strings.Contains(c.logged.String(), "job panicked") {
		t.Error("the log does not tell of a panic")
	}
}

func TestTooFewVerdictsCommitNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	group := queue.NewGroup(pool, queue.DefaultGroup(), func(context.Context, *queue.GroupTx, []int, error) ([]queue.Verdict, error) {
		return nil, nil
	})
	newProbeProcess(t, pool, "only", 1, func(ctx context.Context, job *river.Job[probeArgs]) error {
		return group.Work(ctx, job.JobRow, 1)
	})
	job := waitState(t, pool, insertProbe(t, pool, 1), rivertype.JobStateDiscarded)
	if want := "answered 0 verdicts for 1 items"; !strings.Contains(job.Errors[0].Error, want) {
		t.Errorf("error %q, want %q in it", job.Errors[0].Error, want)
	}
}

// The work may go about the second try in another way, also for one job.
func TestLoneJobIsTriedTwice(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	busy := errors.New("busy")
	group := queue.NewGroup(pool, queue.DefaultGroup(), func(_ context.Context, _ *queue.GroupTx, items []int, failed error) ([]queue.Verdict, error) {
		if items[0] == 1 && errors.Is(failed, busy) {
			return []queue.Verdict{{Outcome: queue.Completed()}}, nil
		}
		return nil, busy
	})
	newProbeProcess(t, pool, "only", 2, func(ctx context.Context, job *river.Job[probeArgs]) error {
		return group.Work(ctx, job.JobRow, job.Args.N)
	})
	if job := waitState(t, pool, insertProbe(t, pool, 1), rivertype.JobStateCompleted); job.Attempt != 1 || len(job.Errors) != 0 {
		t.Errorf("attempt %d with errors %+v, want 1 with none", job.Attempt, job.Errors)
	}
	if job := waitState(t, pool, insertProbe(t, pool, 2), rivertype.JobStateDiscarded); len(job.Errors) != probeContract.MaxAttempts {
		t.Errorf("%d errors, want one for each of %d attempts", len(job.Errors), probeContract.MaxAttempts)
	}
}
