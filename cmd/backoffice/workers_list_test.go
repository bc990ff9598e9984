package main

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// startedWorker writes the row of a worker process; columns are set as assignments say.
func (s shop) startedWorker(clientID, assignments string) {
	s.t.Helper()
	s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at)
	        values ($1, 'shelf', 41, 'v1', '{maintenance,orders}', now() - interval '1 day', clock_timestamp())`, clientID)
	if assignments != "" {
		s.exec(`update worker_processes set `+assignments+` where client_id = $1`, clientID)
	}
}

// holdLock takes the lock of a worker process, as that process would, until the test ends.
func holdLock(t *testing.T, url, clientID string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), `select pg_advisory_lock(hashtextextended('backoffice worker ' || $1, 0))`, clientID); err != nil {
		t.Fatal(err)
	}
}

// workers lists the worker processes by client id.
func (s shop) workers(args ...string) map[string]queue.WorkerProcess {
	s.t.Helper()
	var found []queue.WorkerProcess
	s.json(&found, append([]string{"workers", "list"}, args...)...)
	byID := map[string]queue.WorkerProcess{}
	for _, w := range found {
		byID[w.ClientID] = w
	}
	return byID
}

func TestConditionOfAWorkerProcess(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const late, later = `beat_at = now() - interval '11 s'`, `beat_at = now() - interval '1 hour'`
	for _, tc := range []struct {
		name   string
		set    string
		locked bool
		want   string
	}{
		{"beats, holds its lock", ``, true, "alive"},
		{"beats, its lock lost", ``, false, "alive"},
		{"beats, poll only", `poll_only = true`, false, "alive"},
		{"beats, was asked to stop", `stopping_at = now()`, true, "stopping"},
		{"late, holds its lock", late, true, "frozen"},
		{"late, holds no lock", late, false, "silent"},
		{"long gone", later, false, "silent"},
		{"late, poll only, lock held by a stranger", late + `, poll_only = true`, true, "silent"},
		{"late while stopping, lock held", late + `, stopping_at = now()`, true, "frozen"},
		{"late while stopping, no lock", late + `, stopping_at = now()`, false, "silent"},
		{"declared dead, beats still", `declared_dead_at = now()`, true, "dead"},
		{"declared dead while stopping", later + `, stopping_at = now(), declared_dead_at = now()`, false, "dead"},
		{"locked in another database only", late, false, "silent"},
	} {
		s.startedWorker(tc.name, tc.set)
		if tc.locked {
			holdLock(t, s.url, tc.name)
		}
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "locked in another database only" {
				holdLock(t, pgtest.EmptyURL(t), tc.name)
			}
			if got := s.workers()[tc.name].Condition; got != tc.want {
				t.Errorf("condition = %q, want %q", got, tc.want)
			}
		})
	}
}

// Postgres shows a key as two unsigned halves: each of them, and the whole, may have its highest bit set.
func TestFrozenProcessIsFoundWhateverTheSignOfItsKey(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	rows, err := s.pool.Query(t.Context(), `
		select distinct on (key < 0, key & 2147483648) 'worker-' || n
		  from generate_series(1, 100) n
		 cross join lateral hashtextextended('backoffice worker worker-' || n, 0) as key
		 order by key < 0, key & 2147483648`)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) != 4 {
		t.Fatalf("ids = %q, %v; want four", ids, err)
	}
	for _, id := range ids {
		s.startedWorker(id, `beat_at = now() - interval '1 minute'`)
		holdLock(t, s.url, id)
	}
	for id, w := range s.workers() {
		if w.Condition != "frozen" {
			t.Errorf("%s is %q, want frozen", id, w.Condition)
		}
	}
}

func TestWorkersListCountsJobsAndHidesThoseLongDead(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if printed := s.text("workers", "list"); printed != "no worker processes; start one with backoffice worker\n" {
		t.Errorf("an empty list prints %q", printed)
	}
	s.startedWorker("busy", `started_at = now() - interval '1 minute'`)
	s.startedWorker("fresh dead", `declared_dead_at = now() - interval '59 minutes', beat_at = now() - interval '1 hour'`)
	s.startedWorker("long dead", `declared_dead_at = now() - interval '61 minutes', started_at = now() - interval '2 days'`)
	s.exec(`insert into river_job (kind, queue, args, max_attempts, attempt, state, attempted_at, finalized_at, attempted_by)
	        values ('process_order', 'orders', '{}', 10, 1, 'running', now(), null, '{busy}'),
	               ('process_order', 'orders', '{}', 10, 2, 'running', now(), null, '{"long dead",busy}'),
	               ('process_order', 'orders', '{}', 10, 1, 'retryable', now(), null, '{busy}'),
	               ('process_order', 'orders', '{}', 10, 1, 'completed', now(), now(), '{busy}')`)
	s.exec(`insert into job_crashes (job_id, crash_count, last_crash_at, last_client_id)
	        values (900, 1, now(), 'fresh dead'), (901, 2, now(), 'fresh dead'), (902, 1, now(), 'long dead')`)

	shown := s.workers()
	if len(shown) != 2 {
		t.Fatalf("workers list shows %+v, want busy and fresh dead", shown)
	}
	busy, dead := shown["busy"], shown["fresh dead"]
	if busy.RunningJobs != 2 || busy.CrashedJobs != 0 || busy.DeclaredDeadAt != nil || busy.LastBeatSecs < 0 ||
		busy.Host != "shelf" || busy.PID != 41 || strings.Join(busy.Queues, " ") != "maintenance orders" {
		t.Errorf("busy = %+v", busy)
	}
	if dead.RunningJobs != 0 || dead.CrashedJobs != 2 || dead.DeclaredDeadAt == nil || dead.LastBeatSecs < 3600 {
		t.Errorf("fresh dead = %+v", dead)
	}
	if all := s.workers("--all"); len(all) != 3 || all["long dead"].CrashedJobs != 1 {
		t.Errorf("workers list --all shows %+v, want all three", all)
	}

	printed := s.text("workers", "list", "--all", "--limit", "2")
	contains(t, printed, "CLIENT_ID", "maintenance, orders", "1h0m")
	if at := strings.Index(printed, "busy"); at < 0 || at > strings.Index(printed, "fresh dead") || strings.Contains(printed, "long dead") {
		t.Errorf("workers list is not the two newest, newest first:\n%s", printed)
	}
	contains(t, s.text("inspect", "workers"), "LAST_BEAT_AGE", `["maintenance","orders"]`)
}

func TestInspectWorkersReadsOnlyRunningJobs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.startedWorker("idle", ``)
	s.exec(`insert into river_job (kind, queue, args, max_attempts) select 'process_order', 'orders', '{}', 10 from generate_series(1, 20000)`)
	for _, statistics := range []string{"none", "fresh"} {
		if statistics == "fresh" {
			s.exec(`analyze`)
		}
		if plan := s.explain("select * from inspect.workers"); strings.Contains(plan, "Seq Scan on river_job") {
			t.Errorf("statistics: %s: the view reads every job:\n%s", statistics, plan)
		}
	}
}
