package queue_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestUnfinishedAndIdleCountWhatAProcessCouldWork(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		sql  string
		want queue.Backlog
		idle bool
	}{
		{"nothing", ``, queue.Backlog{}, true},
		{"a due job", `insert into river_job (kind, queue, args, max_attempts) values ('probe', 'probes', '{}', 1)`, queue.Backlog{Available: 1}, false},
		{"a job of another queue", `insert into river_job (kind, queue, args, max_attempts) values ('probe', 'others', '{}', 1)`, queue.Backlog{}, true},
		{"a job of a kind this build does not know", `insert into river_job (kind, queue, args, max_attempts) values ('stranger', 'probes', '{}', 1)`, queue.Backlog{}, true},
		{"a scheduled job", `insert into river_job (kind, queue, args, max_attempts, state, scheduled_at) values ('probe', 'probes', '{}', 1, 'scheduled', now() + interval '1 hour')`, queue.Backlog{Scheduled: 1}, true},
		{"a job that failed a moment ago", `insert into river_job (kind, queue, args, max_attempts, attempt, scheduled_at) values ('probe', 'probes', '{}', 5, 1, now() + interval '4 seconds')`, queue.Backlog{Retryable: 1}, true},
		{"a retryable job", `insert into river_job (kind, queue, args, max_attempts, attempt, state, scheduled_at) values ('probe', 'probes', '{}', 5, 1, 'retryable', now() + interval '1 minute')`, queue.Backlog{Retryable: 1}, true},
		{"a job running here", `insert into river_job (kind, queue, args, max_attempts, attempt, state, attempted_at, attempted_by) values ('probe', 'probes', '{}', 5, 1, 'running', now(), '{other,me}')`, queue.Backlog{RunningHere: 1}, false},
		{"a job running elsewhere", `insert into river_job (kind, queue, args, max_attempts, attempt, state, attempted_at, attempted_by) values ('probe', 'probes', '{}', 5, 1, 'running', now(), '{me,other}')`, queue.Backlog{Elsewhere: 1}, true},
		{"a due job of a paused queue", `with paused as (insert into river_queue (name, paused_at, updated_at) values ('probes', now(), now())) insert into river_job (kind, queue, args, max_attempts) values ('probe', 'probes', '{}', 1)`, queue.Backlog{Paused: 1}, true},
		{"a finished job", `insert into river_job (kind, queue, args, max_attempts, state, finalized_at) values ('probe', 'probes', '{}', 1, 'completed', now())`, queue.Backlog{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			exec(t, pool, tc.sql)
			process := queue.WorkerConfig{ClientID: "me", Queues: map[string]int{"probes": 1}, Contracts: contracts}
			got, err := queue.Unfinished(t.Context(), pool, process)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Unfinished (-want +got):\n%s", diff)
			}
			idle, err := queue.Idle(t.Context(), pool, process)
			if err != nil {
				t.Fatal(err)
			}
			if idle != tc.idle {
				t.Errorf("Idle = %t, want %t", idle, tc.idle)
			}
		})
	}
}

func TestDeleteFinishedKeepsEachKindForItsOwnTime(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into river_job (kind, queue, args, max_attempts, state, finalized_at, tags)
	values ('probe', 'probes', '{}', 1, 'completed', now() - interval '61 minutes', '{goes}'),
	       ('probe', 'probes', '{}', 1, 'completed', now() - interval '59 minutes', '{stays}'),
	       ('probe', 'probes', '{}', 1, 'discarded', now() - interval '121 minutes', '{goes}'),
	       ('probe', 'probes', '{}', 1, 'discarded', now() - interval '119 minutes', '{stays}'),
	       ('probe', 'probes', '{}', 1, 'cancelled', now() - interval '121 minutes', '{goes}'),
	       ('probe', 'probes', '{}', 1, 'cancelled', now() - interval '119 minutes', '{stays}'),
	       ('stranger', 'probes', '{}', 1, 'completed', now() - interval '1 year', '{stays}')`)
	exec(t, pool, `insert into river_job (kind, queue, args, max_attempts, tags) values ('probe', 'probes', '{}', 1, '{stays}')`)
	deleted, err := queue.DeleteFinished(t.Context(), pool, contracts)
	if err != nil {
		t.Fatal(err)
	}
	if deleted != 3 {
		t.Errorf("deleted %d jobs, want 3", deleted)
	}
	if n := count(t, pool, `select count(*) from river_job where tags = '{goes}'`); n != 0 {
		t.Errorf("%d jobs outlived their retention", n)
	}
	if n := count(t, pool, `select count(*) from river_job where tags = '{stays}'`); n != 5 {
		t.Errorf("%d jobs are kept, want 5", n)
	}
}
