package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

func TestProcessDeclaredDeadWhileItStopsSoftlyCancelsItsJobs(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	running, cancelled := make(chan struct{}), make(chan struct{})
	p := startProcess(t, pgtest.URL(t), "stopping", func(c *queue.ProcessConfig) { c.SoftStop = time.Hour }, func(ctx context.Context, _ *river.Job[probeArgs]) error {
		close(running)
		<-ctx.Done()
		close(cancelled)
		return ctx.Err()
	})
	insertProbe(t, pool, 1)
	<-running
	p.stop()
	pgtest.Eventually(t, "the process is stopping", func() (bool, error) {
		return count(t, pool, `select count(*) from worker_processes where stopping_at is not null`) == 1, nil
	})
	exec(t, pool, `update worker_processes set declared_dead_at = now()`)
	if err := p.end(t); !errors.Is(err, queue.ErrDeclaredDead) {
		t.Errorf("Run: %v, want ErrDeclaredDead", err)
	}
	<-cancelled
	if n := count(t, pool, `select count(*) from worker_processes where declared_dead_at is not null`); n != 1 {
		t.Error("the row of the dead process is gone")
	}
}

// River waits without limit for a connection when it starts.
func TestProcessThatHangsWhileItStartsCanBeStopped(t *testing.T) {
	t.Parallel()
	watching := pgtest.Pool(t)
	pool, err := postgres.Connect(t.Context(), pgtest.URL(t), postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	taken, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Release()
	process, err := queue.NewProcess(pool, queue.ProcessConfig{
		WorkerConfig: probeConfig("hanging", 1, &logBuffer{}, completes), Liveness: patient, MaxCrashRescues: 3, HardStop: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- process.Run(ctx) }()
	pgtest.Eventually(t, "the process is registered", func() (bool, error) {
		return count(t, watching, `select count(*) from worker_processes where client_id = 'hanging'`) == 1, nil
	})
	if process.Ready(t.Context()) == nil {
		t.Error("a process that has not started is ready")
	}
	stop()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the process did not end")
	}
}

func TestClockThatIsSetKillsNobody(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	url := pgtest.URL(t)
	for _, id := range []string{"one", "two", "three"} {
		startProcess(t, url, id, func(c *queue.ProcessConfig) {
			c.Liveness = queue.Liveness{Beat: time.Second, DeadAfter: 4 * time.Second, SelfLimit: 2 * time.Second}
		}, completes)
	}
	for _, id := range []string{"one", "two", "three"} {
		waitSteady(t, pool, id, 4*time.Second)
	}
	// What a clock that is set forward by a minute does to all heartbeats at once.
	exec(t, pool, `update worker_processes set beat_at = beat_at - interval '1 minute', started_at = clock_timestamp()`)
	pgtest.Eventually(t, "everybody has looked at everybody", func() (bool, error) {
		return count(t, pool, `select count(*) from worker_processes where beat_at - started_at > interval '5 seconds'`) == 3, nil
	})
	if n := count(t, pool, `select count(*) from worker_processes where declared_dead_at is not null`); n != 0 {
		t.Errorf("%d living processes were declared dead", n)
	}
}

func TestForgivenJobHasItsChancesAgain(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	id := insertDead(t, pool, 1, 2)[0]
	if err := queue.Forgive(t.Context(), pool, id); err != nil {
		t.Fatal(err)
	}
	startProcess(t, pgtest.URL(t), "reaper", func(c *queue.ProcessConfig) { c.Queues = map[string]int{"others": 1} }, completes)
	waitState(t, pool, id, rivertype.JobStateAvailable)
	if n := count(t, pool, `select crash_count from job_crashes where job_id = $1`, id); n != 1 {
		t.Errorf("crash count = %d, want 1", n)
	}
}

func TestDeleteFinishedForgetsDeletedJobs(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	kept := insertProbe(t, pool, 1)
	exec(t, pool, `insert into job_crashes values ($1, 1, now(), 'x'), (-1, 1, now(), 'x')`, kept)
	if _, err := queue.DeleteFinished(t.Context(), pool, contracts); err != nil {
		t.Fatal(err)
	}
	if n := count(t, pool, `select count(*) from job_crashes where job_id = $1`, kept); n != 1 || count(t, pool, `select count(*) from job_crashes`) != 1 {
		t.Error("the crashes of the deleted job were kept, or those of the other not")
	}
}
