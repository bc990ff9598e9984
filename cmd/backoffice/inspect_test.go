package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestInspectListsItsViewsWithWhatTheyShow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	contains(t, s.text("inspect"), "VIEW", "failures   Why jobs fail", "schedules  The timetable")
	var views []struct{ Name, About string }
	s.json(&views, "inspect")
	if len(views) != 8 {
		t.Errorf("%d views, want 8: %+v", len(views), views)
	}
	for _, view := range views {
		if view.About == "" || strings.Contains(view.About, "\n") {
			t.Errorf("view %s is about %q, want one line", view.Name, view.About)
		}
		s.text("inspect", view.Name)
		s.text("inspect", "inspect."+view.Name, "--output", "json")
	}
}

func TestInspectOrdersShowsMoneyAsTextAndTheNewestFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text("products", "receive", "A", "1", "--track")
	s.text("orders", "place", "--number", "7001", "--customer", "C1", "--line", "B:3:0.001")
	s.text("orders", "place", "--number", "7002", "--line", "A:5:2.5")
	s.process()
	var orders []struct {
		Number   string    `json:"number"`
		Customer *string   `json:"customer"`
		Status   string    `json:"status"`
		Amount   string    `json:"amount"`
		JobState string    `json:"job_state"`
		Effects  *string   `json:"effects"`
		WaitsFor *string   `json:"waits_for"`
		Enqueued bool      `json:"enqueued"`
		PlacedAt time.Time `json:"placed_at"`
	}
	s.json(&orders, "inspect", "orders")
	if len(orders) != 2 || orders[0].Number != "7002" {
		t.Fatalf("orders = %+v, want 7002 and then 7001", orders)
	}
	waiting, done := orders[0], orders[1]
	if waiting.Status != "awaiting_stock" || waiting.WaitsFor == nil || *waiting.WaitsFor != "A: 5 needed, 1 on hand" || waiting.Effects != nil {
		t.Errorf("waiting order = %+v", waiting)
	}
	if done.Amount != "0.003" || done.Customer == nil || *done.Customer != "C1" || *done.Effects != "ledger, stock" ||
		done.JobState != "completed" || !done.Enqueued || done.PlacedAt.IsZero() {
		t.Errorf("processed order = %+v", done)
	}
	if printed := s.text("inspect", "orders", "--limit", "1"); strings.Contains(printed, "7001") {
		t.Errorf("--limit 1 printed more than the newest order:\n%s", printed)
	}
}

func TestInspectQueuesStopsCounting(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into river_job (kind, queue, state, args, max_attempts, scheduled_at)
	        select 'process_order', 'orders', 'available', '{}', 10, now() - interval '2 hours' from generate_series(1, 10050)`)
	s.exec(`insert into river_job (kind, queue, state, args, max_attempts, attempt, attempted_at, finalized_at)
	        select 'reconcile_orders', 'maintenance', 'completed', '{}', 3, 1, now(), now() from generate_series(1, 6)`)
	s.exec(`insert into river_queue (name, paused_at, updated_at) values ('maintenance', now(), now())`)
	var queues []struct {
		Queue     string  `json:"queue"`
		Available string  `json:"available"`
		Oldest    *string `json:"oldest_available_age"`
		LastHour  string  `json:"finished_last_hour"`
		PerMinute string  `json:"finished_per_minute"`
		PausedAt  *string `json:"paused_at"`
	}
	s.json(&queues, "inspect", "queues")
	if len(queues) != 2 {
		t.Fatalf("queues = %+v, want maintenance and orders", queues)
	}
	maintenance, orders := queues[0], queues[1]
	if maintenance.Available != "0" || maintenance.Oldest != nil || maintenance.LastHour != "6" || maintenance.PerMinute != "6.0" || maintenance.PausedAt == nil {
		t.Errorf("maintenance = %+v", maintenance)
	}
	if orders.Available != "10,000+" || orders.Oldest == nil || !strings.HasPrefix(*orders.Oldest, "02:00:0") || orders.LastHour != "0" || orders.PausedAt != nil {
		t.Errorf("orders = %+v", orders)
	}
}

func TestInspectJobsAndSchedulesTellHowItWent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into schedules (name, kind, spec, next_run_at, paused_at) values ('nightly', 'reconcile_orders', 'every 1m', now() - interval '90 s', null)`)
	s.exec(`insert into river_job (id, kind, queue, state, args, max_attempts, attempt, scheduled_at, attempted_at, finalized_at, attempted_by)
	        values (900, 'reconcile_orders', 'maintenance', 'completed', '{}', 3, 1, '2026-01-01Z', '2026-01-01 00:00:02Z', '2026-01-01 00:00:05Z', '{first,second}')`)
	s.exec(`insert into schedule_runs (schedule, tick_at, job_id, outcome) values ('nightly', '2026-01-01Z', 900, 'enqueued'), ('nightly', '2025-12-31Z', null, 'skipped')`)
	var found []struct {
		ID          int64
		Wait        string
		Run, Worker string
	}
	s.json(&found, "inspect", "jobs")
	if len(found) != 1 || found[0].Wait != "00:00:02" || found[0].Run != "00:00:03" || found[0].Worker != "second" {
		t.Errorf("jobs = %+v, want one that waited 2 s, ran 3 s, by second", found)
	}
	contains(t, s.text("inspect", "schedules"), "nightly", "every 1m", "00:01:3", "2026-01-01 00:00:00Z", "enqueued", "completed")
}

// The planner must reach one order, and the newest, by indexes alone, also before anybody has analyzed.
func TestInspectOrdersReadsNoTableFromEndToEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number, enqueued) select n::text, true from generate_series(1, 20000) n`)
	s.exec(`insert into order_lines (order_id, line_no, sku, quantity, unit_price) select id, 1, 'A', 1, 1 from orders`)
	s.exec(`insert into river_job (kind, queue, args, max_attempts) select 'process_order', 'orders', jsonb_build_object('order_id', id), 10 from orders`)
	for _, statistics := range []string{"none", "fresh"} {
		if statistics == "fresh" {
			s.exec(`analyze`)
		}
		for _, query := range []string{
			"select * from inspect.orders where id = 5",
			"select * from inspect.orders where number = '5'",
			"select * from inspect.orders order by id desc limit 20",
			"select * from inspect.jobs where kind = 'process_order' and order_id = '5'",
		} {
			// River's primary key does not lead from an order to its jobs: on it, the planner searches.
			if plan := s.explain(query); regexp.MustCompile(`Seq Scan on (orders|order_lines|river_job)|river_job_pkey`).MatchString(plan) {
				t.Errorf("statistics: %s: %s reads a whole table:\n%s", statistics, query, plan)
			}
		}
	}
}

func (s shop) explain(query string) string {
	s.t.Helper()
	rows, err := s.pool.Query(context.Background(), "explain "+query)
	if err != nil {
		s.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
