package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// swift are limits short enough for a test that waits for them.
var swift = queue.Liveness{Beat: 200 * time.Millisecond, DeadAfter: 4 * time.Second, SelfLimit: 2 * time.Second}

// patient are limits that a crowded machine does not exceed by itself.
var patient = queue.Liveness{Beat: time.Second, DeadAfter: 15 * time.Second, SelfLimit: 5 * time.Second}

// wholeProcess is a Process with pool and connections of its own, in this program.
type wholeProcess struct {
	*queue.Process
	id    string
	stop  context.CancelFunc
	ended chan error
}

func startProcess(t *testing.T, url, id string, change func(*queue.ProcessConfig), work func(context.Context, *river.Job[probeArgs]) error) *wholeProcess {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), url, postgres.Options{ApplicationName: id, MaxConns: 16, Settings: queue.SessionSettings()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := queue.ProcessConfig{
		WorkerConfig: probeConfig(id, 10, &logBuffer{}, work), Version: "test", Liveness: swift, MaxCrashRescues: 3, HardStop: 5 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	process, err := queue.NewProcess(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &wholeProcess{Process: process, id: id, stop: stop, ended: make(chan error, 1)}
	go func() { p.ended <- process.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-p.ended
		pool.Close()
	})
	pgtest.Eventually(t, id+" is ready", func() (bool, error) { return process.Ready(t.Context()) == nil, nil })
	return p
}

// end waits until the process has ended, and answers why.
func (p *wholeProcess) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not end", p.id)
		return nil
	}
}

func completes(context.Context, *river.Job[probeArgs]) error { return nil }

func TestProcessLeavesNoRowBehindWhenItStops(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	p := startProcess(t, pgtest.URL(t), "only", nil, completes)
	if n := count(t, pool, `select count(*) from worker_processes where client_id = 'only' and pid = $1 and queues = '{probes}'`, os.Getpid()); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	waitState(t, pool, insertProbe(t, pool, 1), rivertype.JobStateCompleted)
	p.stop()
	if err := p.end(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := count(t, pool, `select count(*) from worker_processes`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestProcessDeclaredDeadEndsAndChangesNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	running := make(chan struct{})
	p := startProcess(t, pgtest.URL(t), "only", nil, func(ctx context.Context, _ *river.Job[probeArgs]) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	id := insertProbe(t, pool, 1)
	<-running
	exec(t, pool, `update river_job set state = 'available', attempt = 0 where id = $1`, id)
	exec(t, pool, `update worker_processes set declared_dead_at = now()`)
	if err := p.end(t); !errors.Is(err, queue.ErrDeclaredDead) {
		t.Errorf("Run: %v, want ErrDeclaredDead", err)
	}
	if job := getJob(t, pool, id); job.State != rivertype.JobStateAvailable || len(job.Errors) != 0 {
		t.Errorf("job is %s with %d errors, want available with none", job.State, len(job.Errors))
	}
	if n := count(t, pool, `select count(*) from worker_processes where declared_dead_at is not null`); n != 1 {
		t.Error("the row of the dead process is gone")
	}
}

func TestDroppedLockConnectionIsTakenAgain(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	url := pgtest.URL(t)
	patiently := func(c *queue.ProcessConfig) { c.Liveness = patient }
	p := startProcess(t, url, "dropped", patiently, completes)
	startProcess(t, url, "watching", patiently, completes)
	waitSteady(t, pool, "watching", patient.SelfLimit) // from then on it judges by locks
	for range 5 {
		exec(t, pool, `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and pid in (select pid from pg_stat_activity where application_name = 'dropped')`)
		pgtest.Eventually(t, "the lock is held again", func() (bool, error) {
			return count(t, pool, `select count(*) from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted and a.application_name = 'dropped'`) == 1, nil
		})
	}
	waitState(t, pool, insertProbe(t, pool, 1), rivertype.JobStateCompleted)
	if err := p.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if n := count(t, pool, `select count(*) from worker_processes where declared_dead_at is not null`); n != 0 {
		t.Error("a living process was declared dead")
	}
}

// waitSteady waits until a process's session is so old that it may judge others.
func waitSteady(t *testing.T, pool *pgxpool.Pool, id string, age time.Duration) {
	t.Helper()
	pgtest.Eventually(t, id+" may judge", func() (bool, error) {
		return count(t, pool, `select count(*) from worker_processes where client_id = $1 and started_at < now() - $2::interval`, id, age+2*swift.Beat) == 1, nil
	})
}

func TestProcessKeptFromItsLockEndsAndItsJobsRunElsewhere(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	url := pgtest.URL(t)
	running := make(chan struct{}, 10)
	p := startProcess(t, url, "kept-out", nil, func(ctx context.Context, _ *river.Job[probeArgs]) error {
		running <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	id := insertProbe(t, pool, 1)
	<-running
	startProcess(t, url, "other", nil, completes)
	thief, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Release()
	// The thief asks first and then ends the holder: it is next in line.
	batch := &pgx.Batch{}
	batch.Queue(`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and pid in (select pid from pg_stat_activity where application_name = 'kept-out')`)
	batch.Queue(`select pg_advisory_lock(hashtextextended('backoffice worker kept-out', 0))`)
	if err := thief.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.end(t); !errors.Is(err, queue.ErrLifeUnproven) {
		t.Errorf("Run: %v, want ErrLifeUnproven", err)
	}
	job := waitState(t, pool, id, rivertype.JobStateCompleted)
	if by := job.AttemptedBy[len(job.AttemptedBy)-1]; by != "other" {
		t.Errorf("the job ran in %s, want other", by)
	}
}

func TestJobOfADeadProcessIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		crashes int    // before this one
		sql     string // what else is true of the job
		state   rivertype.JobState
	}{
		{"first crash", 0, ``, rivertype.JobStateAvailable},
		{"second crash", 1, ``, rivertype.JobStateAvailable},
		{"third crash, alone", 2, ``, rivertype.JobStateDiscarded},
		{"cancelled while it ran", 0, `update river_job set metadata = '{"cancel_attempted_at": "2026-01-01T00:00:00Z"}'`, rivertype.JobStateCancelled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			id := insertDead(t, pool, 1, tc.crashes)[0]
			if tc.sql != "" {
				exec(t, pool, tc.sql)
			}
			p := startProcess(t, pgtest.URL(t), "reaper", func(c *queue.ProcessConfig) { c.Queues = map[string]int{"others": 1} }, completes)
			job := waitState(t, pool, id, tc.state)
			if len(job.Errors) != 1 || job.Errors[0].Error == "" || job.Errors[0].Attempt != 3 {
				t.Errorf("errors = %+v, want one of attempt 3", job.Errors)
			}
			if wantAttempt := map[bool]int{true: 2, false: 3}[tc.state == rivertype.JobStateAvailable]; job.Attempt != wantAttempt {
				t.Errorf("attempt = %d, want %d", job.Attempt, wantAttempt)
			}
			if n := count(t, pool, `select crash_count from job_crashes where job_id = $1 and last_client_id = 'gone'`, id); n != tc.crashes+1 {
				t.Errorf("crash count = %d, want %d", n, tc.crashes+1)
			}
			p.stop()
		})
	}
}

// insertDead makes a process that was silent for a minute, and jobs it was running.
func insertDead(t *testing.T, pool *pgxpool.Pool, jobs, crashes int) (ids []int64) {
	t.Helper()
	exec(t, pool, `insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at) values ('gone', '', 1, '', '{probes}', now() - interval '1 hour', now() - interval '1 minute')`)
	ids = insertProbes(t, pool, probes(jobs)...)
	exec(t, pool, `update river_job set state = 'running', attempt = 3, attempted_at = now(), attempted_by = '{someone,gone}' where id = any($1)`, ids)
	if crashes > 0 {
		exec(t, pool, `insert into job_crashes select id, $2, now(), 'gone' from unnest($1::bigint[]) as job (id)`, ids, crashes)
	}
	return ids
}

func TestSuspectsRunApartAndNoneIsDiscardedInCompany(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	insertDead(t, pool, 4, 2)
	startProcess(t, pgtest.URL(t), "reaper", func(c *queue.ProcessConfig) { c.Queues = map[string]int{"others": 1} }, completes)
	pgtest.Eventually(t, "all are taken back", func() (bool, error) {
		return count(t, pool, `select count(*) from river_job where state = 'available'`) == 4, nil
	})
	if n := count(t, pool, `select count(*) from (select scheduled_at - lag(scheduled_at) over (order by scheduled_at) as gap from river_job) g where gap between interval '1.9 seconds' and interval '2.1 seconds'`); n != 3 {
		t.Errorf("%d of 3 gaps are of two seconds", n)
	}
}

// One process has hundreds of jobs in hand that share commits.
func TestManySuspectsShareFiveMinutes(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	const suspects = 500
	insertDead(t, pool, suspects, 2)
	startProcess(t, pgtest.URL(t), "reaper", func(c *queue.ProcessConfig) { c.Queues = map[string]int{"others": 1} }, completes)
	pgtest.Eventually(t, "all are taken back", func() (bool, error) {
		return count(t, pool, `select count(*) from river_job where state = 'available'`) == suspects, nil
	})
	if n := count(t, pool, `select extract(epoch from max(scheduled_at) - min(scheduled_at))::integer from river_job`); n < 280 || n > 320 {
		t.Errorf("the last starts %d seconds after the first, want about five minutes", n)
	}
	if n := count(t, pool, `select count(*) from (select scheduled_at - lag(scheduled_at) over (order by scheduled_at) as gap from river_job) g where gap > interval '500 milliseconds'`); n != suspects-1 {
		t.Errorf("%d of %d suspects have a turn of their own", n, suspects-1)
	}
}

func TestLivingProcessesReapNobody(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	for n := range 4 {
		startProcess(t, pgtest.URL(t), fmt.Sprintf("p%d", n), func(c *queue.ProcessConfig) { c.PollOnly, c.Liveness = n == 3, patient }, completes)
	}
	waitSteady(t, pool, "p3", patient.DeadAfter)
	waitState(t, pool, insertProbe(t, pool, 1), rivertype.JobStateCompleted)
	pgtest.Eventually(t, "everybody has beaten for long", func() (bool, error) {
		return count(t, pool, `select count(*) from worker_processes where beat_at - started_at > $1::interval`, patient.DeadAfter+time.Second) == 4, nil
	})
	if n := count(t, pool, `select count(*) from worker_processes where declared_dead_at is not null`); n != 0 {
		t.Errorf("%d living processes were declared dead", n)
	}
}
