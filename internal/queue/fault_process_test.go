package queue_test

import (
	"encoding/json"
	"fmt"
	"os"
	osexec "os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// This file is the side of the fault tests that starts worker processes, harms them and looks at what
// became of their jobs.

// long says whether the long forms run, which take a few minutes and also judge the times they print:
//
//	BACKOFFICE_LONG=1 go test -v -run 'TestKilledProcess|TestFrozenProcess' ./internal/queue
//	BACKOFFICE_LONG=1 go test -v -run 'TestJobThatKills|TestServerCrash' ./internal/queue
func long() bool { return os.Getenv("BACKOFFICE_LONG") != "" }

// faultProcess is a worker process in a program of its own.
type faultProcess struct {
	id    string
	cmd   *osexec.Cmd
	said  *logBuffer
	ended chan struct{} // closed when the program has ended
}

// startFault starts a worker process and waits until it works.
func startFault(t *testing.T, c faultConfig) *faultProcess {
	t.Helper()
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProcess{id: c.ClientID, cmd: osexec.Command(os.Args[0]), said: &logBuffer{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), workerEnv+"="+string(encoded))
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if _, err := p.cmd.StdinPipe(); err != nil { // open for as long as this program lives
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	p.says(t, "worker started")
	return p
}

// says waits until the process has written text.
func (p *faultProcess) says(t *testing.T, text string) {
	t.Helper()
	pgtest.Eventually(t, fmt.Sprintf("%s says %q", p.id, text), func() (bool, error) {
		said := p.said.String()
		if !strings.Contains(said, text) && p.hasEnded() {
			return false, fmt.Errorf("it ended: %s", said)
		}
		return strings.Contains(said, text), nil
	})
}

func (p *faultProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("send %s to %s: %v", s, p.id, err)
	}
}

func (p *faultProcess) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// exit waits until the process has ended by itself, and answers how.
func (p *faultProcess) exit(t *testing.T) *os.ProcessState {
	t.Helper()
	pgtest.Eventually(t, p.id+" has ended", func() (bool, error) { return p.hasEnded(), nil })
	return p.cmd.ProcessState
}

// insertFaults enqueues jobs in a queue and answers their ids.
func insertFaults(t *testing.T, pool *pgxpool.Pool, queueName string, jobs ...faultArgs) []int64 {
	t.Helper()
	client, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	params := make([]river.InsertManyParams, len(jobs))
	for i, args := range jobs {
		params[i] = river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Queue: queueName}}
	}
	inserted, err := client.InsertMany(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int64, len(inserted))
	for i, job := range inserted {
		ids[i] = job.Job.ID
	}
	return ids
}

// faultDatabase is a test's own database with the table of the effects.
func faultDatabase(t *testing.T) (*pgxpool.Pool, string) {
	t.Helper()
	pool := pgtest.Pool(t)
	exec(t, pool, faultEffectsSQL)
	return pool, pgtest.URL(t)
}

// running counts the jobs that a process runs by the table.
func running(t *testing.T, pool *pgxpool.Pool, clientID string) int {
	t.Helper()
	return count(t, pool, `select count(*) from river_job where state = 'running' and attempted_by[array_upper(attempted_by, 1)] = $1`, clientID)
}

// jobRows answers each job of a queue as the table holds it, column for column.
func jobRows(t *testing.T, pool *pgxpool.Pool, queueName string) map[int64]string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select id, to_jsonb(job) - 'args' from river_job job where queue = $1`, queueName)
	if err != nil {
		t.Fatal(err)
	}
	found := map[int64]string{}
	var id int64
	var row string
	if _, err := pgx.ForEachRow(rows, []any{&id, &row}, func() error {
		found[id] = row
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// wantEffectsOnce fails unless each job of the queue has completed with one effect.
func wantEffectsOnce(t *testing.T, pool *pgxpool.Pool, queueName string, jobs int) {
	t.Helper()
	if n := count(t, pool, `select count(*) from river_job where queue = $1 and state = 'completed'`, queueName); n != jobs {
		t.Errorf("%d jobs of %s are completed, want %d", n, queueName, jobs)
	}
	effects := count(t, pool, `select count(*) from fault_effects join river_job on id = job_id where queue = $1`, queueName)
	distinct := count(t, pool, `select count(distinct job_id) from fault_effects join river_job on id = job_id where queue = $1`, queueName)
	if effects != jobs || distinct != jobs {
		t.Errorf("%d effects of %d jobs in %s, want one of each of %d", effects, distinct, queueName, jobs)
	}
}

// waitJudges waits until a process has lived long enough to find others dead by the default limits.
func waitJudges(t *testing.T, pool *pgxpool.Pool, id string) {
	t.Helper()
	waitAge(t, pool, id, queue.DefaultLiveness.DeadAfter+2*queue.DefaultLiveness.Beat)
}

// waitAge waits until a process has lived for long enough.
func waitAge(t *testing.T, pool *pgxpool.Pool, id string, age time.Duration) {
	t.Helper()
	pgtest.Eventually(t, fmt.Sprintf("%s has lived for %s", id, age), func() (bool, error) {
		return count(t, pool, `select count(*) from worker_processes where client_id = $1 and started_at < now() - $2::interval`, id, age) == 1, nil
	})
}

// logTimes logs how long the rounds took, their median and the longest.
func logTimes(t *testing.T, what string, took []time.Duration) (longest time.Duration) {
	t.Helper()
	slices.Sort(took)
	for i, d := range took {
		took[i] = d.Round(time.Millisecond)
	}
	longest = took[len(took)-1]
	t.Logf("%s: %d rounds, p50 %s, max %s; all: %v", what, len(took), took[len(took)/2], longest, took)
	return longest
}
