package queue_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/queue"
)

// startedJob is the start of a job in the survivor.
type startedJob struct {
	id int64
	at time.Time
}

// survivor is a worker process of this program that outlives the others and runs their jobs: half of
// them at once, the others when the test lets them go; a third in a group.
type survivor struct {
	*wholeProcess
	pool    *pgxpool.Pool
	url     string
	group   *queue.Group[int64] // of job ids
	started chan startedJob

	mu      sync.Mutex
	holding chan struct{}
}

// startSurvivor answers a survivor that is old enough to find others dead.
func startSurvivor(t *testing.T, pollOnly bool) *survivor {
	t.Helper()
	s := &survivor{started: make(chan startedJob, 1000)}
	s.pool, s.url = faultDatabase(t)
	s.group = queue.NewGroup(s.pool, queue.DefaultGroup(), s.together)
	s.wholeProcess = startProcess(t, s.url, "survivor", func(c *queue.ProcessConfig) {
		logs := &logBuffer{}
		*c = (&faultWorker{}).config(faultConfig{ClientID: "survivor", Queue: "others", PollOnly: pollOnly, HardStop: time.Second}, logs)
		c.SoftStop = time.Second
		c.Workers = river.NewWorkers()
		river.AddWorker(c.Workers, river.WorkFunc(s.work))
		river.AddWorker(c.Workers, &strangerWorker{})
	}, nil)
	waitJudges(t, s.pool, "survivor")
	return s
}

func (s *survivor) work(ctx context.Context, job *river.Job[faultArgs]) error {
	s.mu.Lock()
	holding := s.holding
	s.mu.Unlock()
	s.started <- startedJob{id: job.ID, at: time.Now()}
	if job.ID%2 == 0 && holding != nil {
		select {
		case <-holding:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if job.ID%3 == 0 {
		return s.group.Work(ctx, job.JobRow, job.ID)
	}
	return queue.InJobTx(ctx, s.pool, job.JobRow, func(tx pgx.Tx) (queue.Outcome, error) {
		return queue.Completed(), s.commit(ctx, tx, job.ID)
	})
}

// together is the work of the group.
func (s *survivor) together(ctx context.Context, tx *queue.GroupTx, ids []int64, _ error) ([]queue.Verdict, error) {
	return slices.Repeat([]queue.Verdict{{Outcome: queue.Completed()}}, len(ids)), s.commit(ctx, tx, ids...)
}

func (s *survivor) commit(ctx context.Context, tx pgx.Tx, ids ...int64) error {
	_, err := tx.Exec(ctx, `insert into fault_effects select id, 'survivor' from unnest($1::bigint[]) as job (id)`, ids)
	return err
}

// hold makes the survivor hold half of the jobs that start from now on, until release is called.
func (s *survivor) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	holding := make(chan struct{})
	s.holding = holding
	return sync.OnceFunc(func() { close(holding) })
}

// takeOver gives the survivor a queue of another process, all of whose jobs that one holds.
func (s *survivor) takeOver(t *testing.T, queueName string) {
	t.Helper()
	if err := s.Client().Queues().Add(queueName, river.QueueConfig{MaxWorkers: 100}); err != nil {
		t.Fatal(err)
	}
}

// letGo takes the queue from the survivor again.
func (s *survivor) letGo(t *testing.T, queueName string) {
	t.Helper()
	if err := s.Client().Queues().Remove(t.Context(), queueName); err != nil {
		t.Fatal(err)
	}
}

// lastStart waits until jobs of a dead process have started here and answers when the last one did.
func (s *survivor) lastStart(t *testing.T, jobs int) time.Time {
	t.Helper()
	seen := map[int64]bool{}
	var last time.Time
	limit := time.After(time.Minute)
	for len(seen) < jobs {
		select {
		case job := <-s.started:
			if seen[job.id] {
				t.Errorf("job %d started twice", job.id)
			}
			seen[job.id] = true
			last = job.at
		case <-limit:
			t.Fatalf("%d of %d jobs run elsewhere after a minute", len(seen), jobs)
		}
	}
	return last
}
