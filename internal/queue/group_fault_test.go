package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestUndecodableJobFailsBesideItsNeighbours(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{})
	exec(t, c.pool, `insert into river_job (kind, queue, args, max_attempts) values ('probe', 'probes', '{"n": "not a number"}', 2)`)
	ids, release := c.gather(t, probes(10)...)
	release()
	c.unharmed(t, ids...)
	pgtest.Eventually(t, "the undecodable job is discarded", func() (bool, error) {
		return count(t, c.pool, `select count(*) from river_job where state = 'discarded' and attempt = 2`) == 1, nil
	})
}

func TestDeadlockHarmsNobody(t *testing.T) {
	t.Parallel()
	first, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := startCrowd(t, crowdConfig{work: func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error) {
		if job.Args.N == 7 {
			once.Do(func() { close(first); <-goOn })
		}
		// The one that looks for deadlocks first is the victim: it is this one.
		if _, err := tx.Exec(ctx, `set local deadlock_timeout = '10ms'`); err != nil {
			return queue.Verdict{}, err
		}
		_, err := tx.Exec(ctx, `update pair set n = n + 1 where id = $1`, job.Args.N)
		return queue.Verdict{Outcome: queue.Completed()}, err
	}})
	exec(t, c.pool, `create table pair (id integer, n integer); insert into pair values (2, 0), (7, 0)`)
	other, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`set local deadlock_timeout = '1h'`, `update pair set n = n + 1 where id = 7`} {
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ids, release := c.gather(t, probes(10)...)
	release()
	<-first
	done := make(chan error, 1)
	go func() {
		_, err := other.Exec(context.Background(), `update pair set n = n + 1 where id = 2`)
		done <- errors.Join(err, other.Commit(context.Background()))
	}()
	pgtest.Eventually(t, "the other transaction waits", func() (bool, error) {
		return count(t, c.pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1, nil
	})
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the other transaction: %v", err)
	}
	c.unharmed(t, ids...)
	if n := count(t, c.pool, `select sum(n) from pair`); n != 4 {
		t.Errorf("%d updates, want 2 of each side", n)
	}
	if n := len(c.tried()); n < 2 {
		t.Error("there was no deadlock")
	}
}

func TestLostAttemptIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, sql string
		state     rivertype.JobState // in the end; "" when the job is gone
		effects   int
	}{
		{"taken back", `update river_job set state = 'available' where id = $1`, rivertype.JobStateCompleted, 1},
		{"taken back and fetched again elsewhere", `update river_job set attempted_at = now(), attempted_by = '{other}' where id = $1`, rivertype.JobStateRunning, 0},
		{"deleted", `delete from river_job where id = $1`, "", 0},
		{"completed by others", `update river_job set state = 'completed', finalized_at = now() where id = $1`, rivertype.JobStateCompleted, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startCrowd(t, crowdConfig{})
			ids, release := c.gather(t, probes(10)...)
			lost := ids[4]
			exec(t, c.pool, tc.sql, lost)
			release()
			c.unharmed(t, but(ids, lost)...)
			pgtest.Eventually(t, "the attempt is lost", func() (bool, error) { return c.config.Tally.Lost.Load() == 1, nil })
			if tc.state != "" {
				if job := waitState(t, c.pool, lost, tc.state); len(job.Errors) != 0 {
					t.Errorf("the lost attempt left errors %+v", job.Errors)
				}
			}
			c.effects(t, tc.effects, lost)
			if n := len(c.tried()[0]); n != len(ids)-1 {
				t.Errorf("the first transaction had %d jobs, want %d", n, len(ids)-1)
			}
		})
	}
}

func TestTwoAttemptsOfAJobInOneTransaction(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{})
	ids, release := c.gather(t, probes(10)...)
	twice := ids[4]
	takeBack(t, c.pool, twice)
	c.waits(t, len(ids)+1)
	release()
	c.unharmed(t, but(ids, twice)...)
	if job := waitState(t, c.pool, twice, rivertype.JobStateCompleted); job.Attempt != 2 || len(job.Errors) != 0 {
		t.Errorf("attempt %d with errors %+v, want 2 with none", job.Attempt, job.Errors)
	}
	c.effects(t, 1, twice)
	if n := c.config.Tally.Lost.Load(); n != 1 {
		t.Errorf("%d attempts lost, want the first", n)
	}
}

func TestJobWhoseRowIsLockedHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	c := startCrowd(t, crowdConfig{})
	ids, release := c.gather(t, probes(10)...)
	held := ids[4]
	other, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `select from river_job where id = $1 for update`, held); err != nil {
		t.Fatal(err)
	}
	release()
	c.unharmed(t, but(ids, held)...)
	if state := getJob(t, c.pool, held).State; state != rivertype.JobStateRunning {
		t.Errorf("the job whose row is locked is %s, want running", state)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.unharmed(t, held)
}

func TestGroupWaitsForAConnection(t *testing.T) {
	t.Parallel()
	pool := patientPool(t)
	c := startCrowd(t, crowdConfig{pool: pool})
	var taken []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, conn)
	}
	numbered := probes(10)
	numbered[4].Within = time.Second
	ids := insertProbes(t, c.pool, numbered...)
	pgtest.Eventually(t, "one has waited for too long", func() (bool, error) { return len(getJob(t, c.pool, ids[4]).Errors) > 0, nil })
	for _, conn := range taken {
		conn.Release()
	}
	c.unharmed(t, but(ids, ids[4])...)
	if job := waitState(t, c.pool, ids[4], rivertype.JobStateCompleted); !strings.Contains(job.Errors[0].Error, "deadline exceeded") {
		t.Errorf("errors %+v, want that of its time-out", job.Errors)
	}
}
