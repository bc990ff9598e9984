package api_test

import (
	"net/http"
	"testing"

	"backoffice/internal/queue"
)

func TestQueuesTellDepthAgeAndPause(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into river_queue (name, updated_at) values ('orders', now()), ('maintenance', now())`)
	s.exec(`insert into river_job (kind, queue, args, state, max_attempts, attempt, scheduled_at, attempted_at)
	        select 'a', 'orders', '{}'::jsonb, 'available'::river_job_state, 3, 0, now() - interval '90 seconds', null::timestamptz from generate_series(1, 3)
	        union all select 'a', 'orders', '{}'::jsonb, 'running'::river_job_state, 3, 1, now(), now() from generate_series(1, 2)
	        union all select 'a', 'orders', '{}'::jsonb, 'retryable'::river_job_state, 3, 1, now() + interval '1 hour', now()
	        union all select 'a', 'maintenance', '{}'::jsonb, 'scheduled'::river_job_state, 3, 0, now() + interval '1 hour', null from generate_series(1, 10001)`)
	queues := func() map[string]queue.Depth {
		byName := map[string]queue.Depth{}
		for _, q := range must[struct{ Queues []queue.Depth }](s, s.get("/api/queues"), http.StatusOK).Queues {
			byName[q.Queue] = q
		}
		return byName
	}
	orders, maintenance := queues()["orders"], queues()["maintenance"]
	if orders.Available != 3 || orders.Running != 2 || orders.Retryable != 1 || orders.Scheduled != 0 || orders.Capped || orders.OldestAgeSeconds == nil || *orders.OldestAgeSeconds < 90 || orders.PausedAt != nil {
		t.Errorf("orders = %+v", orders)
	}
	if maintenance.Scheduled != queue.MaxDepth || !maintenance.Capped || maintenance.OldestAgeSeconds != nil {
		t.Errorf("maintenance = %+v", maintenance)
	}

	for range 2 { // the second changes nothing
		if change := must[struct{ Paused bool }](s, s.post("/api/queues/orders/pause", ""), http.StatusOK); !change.Paused {
			t.Error("pause answers that the queue is not paused")
		}
	}
	if queues()["orders"].PausedAt == nil || queues()["maintenance"].PausedAt != nil {
		t.Error("orders alone should be paused")
	}
	must[struct{}](s, s.post("/api/queues/orders/resume", ""), http.StatusOK)
	if queues()["orders"].PausedAt != nil {
		t.Error("orders is still paused")
	}
	s.refused(s.post("/api/queues/nowhere/pause", ""), 404, "path.name", `queue \"nowhere\" does not exist`)
	s.refused(s.post("/api/queues/*/pause", ""), 422, "path.name")
	s.refused(s.post("/api/queues/a%2fb/resume", ""), 422, "path.name")
	if n := one[int](s, `select count(*) from river_queue where paused_at is not null`); n != 0 {
		t.Errorf("%d queues are paused", n)
	}
	if got := one[string](s, `select string_agg(action || ' ' || target, ', ' order by id) from audit_log`); got != "pause_queue queue orders, pause_queue queue orders, resume_queue queue orders" {
		t.Errorf("audit_log has %s", got)
	}
}

func TestWorkersAreListed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at, declared_dead_at)
	        values ('alive', 'shelf', 41, 'v1', '{orders}', now(), clock_timestamp(), null),
	               ('long dead', 'shelf', 40, 'v1', '{orders}', now(), now() - interval '3 hours', now() - interval '2 hours')`)
	list := func(path string) []queue.WorkerProcess {
		return must[struct{ Workers []queue.WorkerProcess }](s, s.get(path), http.StatusOK).Workers
	}
	if got := list("/api/workers"); len(got) != 1 || got[0].ClientID != "alive" || got[0].Condition != "alive" || got[0].Queues[0] != "orders" {
		t.Errorf("workers = %+v", got)
	}
	if got := list("/api/workers?all=true"); len(got) != 2 {
		t.Errorf("all workers = %+v", got)
	}
	s.refused(s.get("/api/workers?all=maybe"), 422, "query.all")
}
