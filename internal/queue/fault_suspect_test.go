package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/queue"
)

// Long form: 99 bystanders. A suspect waits its turn for a second, so that they take a while.
func TestJobThatKillsItsProcessIsDiscardedAndItsBystandersComplete(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule       string
		bystanders int
		takes      time.Duration
		together   bool // all share a transaction, the culprit among them
	}{
		{"short bystanders", 7, 0, false},
		{"bystanders that take two seconds", 7, 2 * time.Second, false},
		{"bystanders that share its transaction", 7, 0, true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			if long() {
				tc.bystanders = 99
			}
			pool, url := faultDatabase(t)
			jobs := make([]faultArgs, tc.bystanders+1)
			for i := range jobs {
				jobs[i] = faultArgs{For: max(tc.takes, 200*time.Millisecond), Group: tc.together, InTx: tc.together}
			}
			jobs[len(jobs)/2] = faultArgs{Do: doDie, For: 50 * time.Millisecond, Group: tc.together, InTx: tc.together}
			startWatcher(t, pool, url)
			ids := insertFaults(t, pool, "faults", jobs...)
			crashes := supervise(t, pool, faultConfig{URL: url, Slots: len(jobs)})

			culprit := ids[len(jobs)/2]
			if state := getJob(t, pool, culprit).State; state != rivertype.JobStateDiscarded {
				t.Errorf("the culprit is %s, want discarded", state)
			}
			if n := count(t, pool, `select count(*) from river_job where id <> $1 and state <> 'completed'`, culprit); n != 0 {
				t.Errorf("%d of %d bystanders have not completed", n, tc.bystanders)
			}
			if n := count(t, pool, `select crash_count from job_crashes where job_id = $1`, culprit); n != crashes {
				t.Errorf("%d crashes are counted for the culprit, want %d", n, crashes)
			}
			t.Logf("the culprit crashed %d processes; at most %d of them were counted for a bystander", crashes,
				count(t, pool, `select coalesce(max(crash_count), 0) from job_crashes where job_id <> $1`, culprit))
		})
	}
}

// startWatcher starts a process that finds others dead and works none of their jobs.
func startWatcher(t *testing.T, pool *pgxpool.Pool, url string) {
	t.Helper()
	startProcess(t, url, "watcher", func(c *queue.ProcessConfig) {
		*c = (&faultWorker{}).config(faultConfig{ClientID: "watcher", Queue: "others"}, &logBuffer{})
	}, nil)
	waitJudges(t, pool, "watcher")
}

// supervise keeps a worker process running, whatever ends it, until every job is final, and answers how
// many were killed.
func supervise(t *testing.T, pool *pgxpool.Pool, c faultConfig) (crashes int) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(5 * time.Minute)
	for ; ; crashes++ {
		c.ClientID = fmt.Sprintf("supervised-%d", crashes)
		p := startFault(t, c)
		for ended := false; !ended; {
			select {
			case <-p.ended:
				ended = true
			case <-tick.C:
				if count(t, pool, `select count(*) from river_job where finalized_at is null`) == 0 {
					return crashes
				}
			case <-giveUp:
				t.Fatalf("%d jobs are not final after %d crashes", count(t, pool, `select count(*) from river_job where finalized_at is null`), crashes)
			}
		}
	}
}
