package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/queue"
)

func TestStatusShowsWhatSQLCounts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number) select 'N' || n from generate_series(1, 1234) n`)
	s.exec(`update orders set status = (array['processed', 'rejected', 'cancelled', 'awaiting_stock'])[id % 5] where id % 5 > 0`)
	s.exec(`insert into order_waits (sku, order_id, needed, since) select sku, id, 1, now() from orders, unnest('{A,B}'::text[]) sku where status = 'awaiting_stock'`)
	s.exec(`insert into river_job (kind, queue, args, state, max_attempts, finalized_at, scheduled_at, errors)
		select 'process_order', case when n % 7 = 0 then 'maintenance' else 'orders' end, '{}', (array['available', 'running', 'retryable', 'scheduled', 'discarded'])[1 + n % 5]::river_job_state, 10,
		       case when n % 5 = 4 then now() end, now() - interval '5 minutes', array[jsonb_build_object('error', 'shelf ' || n || ' is empty', 'at', now(), 'attempt', 1)]
		  from generate_series(1, 2000) n`)
	s.exec(`insert into river_queue (name, created_at, updated_at, paused_at) values ('maintenance', now(), now(), '2026-03-04 11:30Z')`)
	s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at, declared_dead_at)
		values ('lively', 'h', 1, 'v1', '{orders}', now(), now() + interval '1 hour', null),
		       ('quiet', 'h', 2, 'v1', '{orders}', now(), now() - interval '1 hour', null),
		       ('gone', 'h', 3, 'v1', '{orders}', now(), now() - interval '1 hour', now()),
		       ('forgotten', 'h', 4, 'v1', '{orders}', now(), now() - interval '3 hours', now() - interval '2 hours')`)
	page := s.page("/", http.StatusOK)
	for _, status := range []string{"placed", "awaiting_stock", "processed", "rejected", "cancelled"} {
		want := one[string](s, `select to_char(count(*), 'FM999,999,990') from orders where status = $1`, status)
		if got := part(t, page, "orders-"+status, "</b>"); got != want {
			t.Errorf("%s orders: %s, want %s", status, got, want)
		}
	}
	for _, name := range []string{"orders", "maintenance"} {
		want := one[string](s, `
			select string_agg(to_char((select count(*) from river_job where queue = $1 and state::text = wanted), 'FM999,999,990'), ' ' order by n)
			  from unnest('{available,running,retryable,scheduled}'::text[]) with ordinality as states (wanted, n)`, name)
		got := strings.Replace(strings.TrimPrefix(part(t, page, "queue-"+name, "</tr>"), name+" "), "paused ", "", 1)
		if !strings.HasPrefix(got, want+" 5 min ") && !strings.HasPrefix(got, want+" 300 s ") {
			t.Errorf("queue %s: %q, want %q and the age of the oldest", name, got, want)
		}
	}
	failures := part(t, page, "failures", "</section>")
	for _, state := range []string{"discarded", "retryable"} {
		if want := state + " process_order " + one[string](s, `select to_char(count(*), 'FM999,999,990') from river_job where state::text = $1`, state) + " jobs"; strings.Count(failures, want) != 1 {
			t.Errorf("failures = %s\nwant %q once", failures, want)
		}
	}
	ids := one[string](s, `select string_agg(id::text, ' ' order by id desc) from (select id from river_job where state = 'discarded' order by id desc limit 5) latest`)
	wants(t, failures, "backoffice jobs retry "+ids, "shelf ")
	workers := part(t, page, "workers", "</section>")
	if !regexp.MustCompile(`quiet silent .* lively alive .* gone dead `).MatchString(workers) || strings.Contains(workers, "forgotten") {
		t.Errorf("workers = %s", workers)
	}
	wants(t, page, "Queue maintenance is paused since 2026-03-04 11:30:00.", "1 worker process is silent", "Jobs were given up for 1 cause")
}

// The status looks at no table from end to end but the small ones, however many orders and jobs there are.
func TestStatusReadsABoundedPartOfLargeTables(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number) select n::text from generate_series(1, 30000) n`)
	s.exec(`insert into river_job (kind, queue, args, state, max_attempts, finalized_at, errors)
		select 'process_order', 'orders', jsonb_build_object('order_id', n), (array['available', 'completed', 'completed', 'discarded'])[1 + n % 4]::river_job_state, 10,
		       case when n % 4 > 0 then now() - n * interval '1 second' end, array[jsonb_build_object('error', 'shelf is empty', 'at', now(), 'attempt', 1)]
		  from generate_series(1, 120000) n`)
	s.exec(`analyze`)
	page := s.page("/", http.StatusOK)
	if got := part(t, page, "orders-placed", "</b>"); got != "10,000+" {
		t.Errorf("placed orders = %s, want 10,000+", got)
	}
	wants(t, part(t, page, "queue-orders", "</tr>"), "orders 10,000+ 0 0 0 ")
	wants(t, part(t, page, "failures", "</section>"), "discarded process_order 10,000+ jobs")
	wants(t, seen(page), "Of the newest 10,000 orders, and all that await stock; there are older ones.")

	// With thousands of failures among few jobs the planner rightly prefers to read them all.
	s.exec(`delete from river_job where state = 'discarded' and id % 40 <> 3`)
	s.exec(`analyze`)
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		reads := func() (tables map[string]int) {
			tables = map[string]int{}
			rows, err := tx.Query(t.Context(), `select relname, seq_scan from pg_stat_xact_user_tables where relname in ('orders', 'order_lines', 'river_job')`)
			if err != nil {
				t.Fatal(err)
			}
			var (
				name  string
				scans int
			)
			if _, err := pgx.ForEachRow(rows, []any{&name, &scans}, func() error { tables[name] = scans; return nil }); err != nil {
				t.Fatal(err)
			}
			return tables
		}
		begun := reads()
		for name, look := range map[string]func() error{
			"order.Stand":        func() error { _, err := order.Stand(t.Context(), tx); return err },
			"queue.ListQueues":   func() error { _, err := queue.ListQueues(t.Context(), tx); return err },
			"queue.ListWorkers":  func() error { _, err := queue.ListWorkers(t.Context(), tx, false, 100); return err },
			"queue.ListFailures": func() error { _, err := queue.ListFailures(t.Context(), tx, 50); return err },
		} {
			if err := look(); err != nil {
				return err
			}
			for table, scans := range reads() {
				if scans > begun[table] {
					t.Errorf("%s reads all of %s", name, table)
				}
				begun[table] = scans
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
