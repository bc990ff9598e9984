package queue_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
)

func TestFailedAttemptsFollowTheKindsSchedule(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		faults  int
		state   rivertype.JobState
		attempt int
	}{
		{"no fault", 0, rivertype.JobStateCompleted, 1},
		{"success after as many faults as attempts allow", 3, rivertype.JobStateCompleted, 4},
		{"more faults than attempts", 4, rivertype.JobStateDiscarded, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			var mu sync.Mutex
			failedAt := map[int]time.Time{}
			dueAt := map[int]time.Time{}
			newProbeProcess(t, pool, "only", 1, func(_ context.Context, job *river.Job[probeArgs]) error {
				mu.Lock()
				defer mu.Unlock()
				dueAt[job.Attempt] = job.ScheduledAt
				if job.Attempt > tc.faults {
					return nil
				}
				failedAt[job.Attempt] = time.Now()
				return fmt.Errorf("fault %d", job.Attempt)
			})
			id := insertProbe(t, pool, 1)
			job := waitState(t, pool, id, tc.state)
			if job.Attempt != tc.attempt || len(job.Errors) != tc.faults {
				t.Errorf("attempt %d with %d errors, want %d with %d", job.Attempt, len(job.Errors), tc.attempt, tc.faults)
			}
			for attempt := 1; attempt < tc.attempt; attempt++ {
				shortest, longest := probeContract.Retry.Bounds(attempt)
				wait := dueAt[attempt+1].Sub(failedAt[attempt])
				// River reads the clock a moment after the worker has failed.
				if wait < shortest || wait > longest+time.Second {
					t.Errorf("wait after attempt %d = %s, want %s to %s", attempt, wait, shortest, longest)
				}
			}
		})
	}
}

func TestBadJobsFailAlone(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	const slow = 14
	process := newProbeProcess(t, pool, "only", 20, func(ctx context.Context, job *river.Job[probeArgs]) error {
		switch job.Args.N {
		case 13:
			panic("unlucky")
		case slow:
			<-ctx.Done() // until its time-out
			return ctx.Err()
		}
		return nil
	})
	numbered := probes(100)
	numbered[slow].Within = 100 * time.Millisecond
	ids := insertProbes(t, pool, numbered...)
	exec(t, pool, `insert into river_job (kind, queue, args, max_attempts) values ('probe', 'probes', '{"n": "not a number"}', 2)`)
	for _, id := range ids {
		want := rivertype.JobStateCompleted
		if id == ids[13] || id == ids[slow] {
			want = rivertype.JobStateDiscarded
		}
		waitState(t, pool, id, want)
	}
	pgtest.Eventually(t, "the undecodable job is discarded", func() (bool, error) {
		return count(t, pool, `select count(*) from river_job where state = 'discarded'`) == 3, nil
	})
	for id, cause := range map[int64]string{ids[13]: "unlucky", ids[slow]: "deadline exceeded"} {
		if job := getJob(t, pool, id); !strings.Contains(job.Errors[0].Error, cause) {
			t.Errorf("job %d failed with %q, want %q", id, job.Errors[0].Error, cause)
		}
	}
	select {
	case <-process.client.Stopped():
		t.Error("the process did not live")
	default:
	}
}
