package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const hostileNumber = `<script>alert(1)</script>`

func TestBrowserFollowsAnOrderToProcessed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.visit()
	v.place(`{"number":"` + hostileNumber + `","customer":"<img src=x onerror=alert(2)>","lines":[{"sku":"\"'><b>TIN","description":"</td><h1>x","quantity":2,"unit_price":"3.2"}]}`)
	v.open("/")
	if got := v.text("#orders-placed"); got != "1" {
		t.Errorf("the status says %s placed, want 1", got)
	}
	if got := v.text("#queue-orders td"); got != "1" {
		t.Errorf("the status says %s available in queue orders, want 1", got)
	}
	v.do("search the order", types("#q", hostileNumber), click("form button"), shows("#story"))
	if got := v.text("h1"); !strings.Contains(got, hostileNumber) || !strings.HasSuffix(got, "placed") {
		t.Errorf("heading = %q", got)
	}
	if n := eval[int](v, `document.querySelectorAll("main script, main img, main b, main h1 h1, td h1").length`); n != 0 {
		t.Errorf("%d elements came out of the order's own text", n)
	}

	s.text("worker", "--once")
	v.do("wait until the page shows it processed by itself", shows("h1 .badge.good"), shows("#ledger"))
	if got := v.text("#story"); !strings.Contains(got, "processed") || !strings.Contains(got, "by job ") {
		t.Errorf("story = %q", got)
	}
	if got := v.text("#ledger"); !strings.Contains(got, "6.40 GBP") || !strings.Contains(got, "−6.40 GBP") {
		t.Errorf("ledger = %q", got)
	}
	if got := eval[string](v, `document.body.dataset.refresh`); got != "0" {
		t.Errorf("a processed order still refreshes every %s s", got)
	}
	v.do("look at its job", click("#jobs h3 a"), shows("#args"))
	if got := v.text("h1"); !strings.HasSuffix(got, "completed") {
		t.Errorf("heading = %q", got)
	}
	v.do("go back to the order and to the status", click(".lead a"), shows("#ledger"), click(".brand"), shows("#workers"))
	if got := v.text("#orders-processed"); got != "1" {
		t.Errorf("the status says %s processed, want 1", got)
	}
	v.do("read the API's documents", click(`nav a[href="/api/docs"]`), shows("#placeOrder"))
	v.calm()
}

// refreshNow makes the page's script look for news at once, as it does when the page comes into view.
const refreshNow = `document.dispatchEvent(new Event("visibilitychange"))`

func TestRefreshLeavesTheReaderAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.visit()
	v.do("take a phone", screen(390, 400, "light"))
	v.open("/")
	eval[int](v, `window.asked = 0; const real = fetch; window.fetch = (...args) => { window.asked++; return real(...args); }; document.body.dataset.refresh = "3600"; 0`)
	v.do("type", types("#q", "536"))
	eval[bool](v, refreshNow)
	if n := eval[int](v, `window.asked`); n != 0 {
		t.Errorf("the page refreshed %d times while the search field had the focus", n)
	}
	v.place(`{"lines":[{"sku":"TIN","quantity":2,"unit_price":"3.2"}]}`)
	eval[bool](v, `document.getElementById("q").blur(); document.querySelector('a[href="/orders?status=rejected"]').focus(); scrollTo(0, 150); `+refreshNow)
	answered(v, "wait for the news", chromedp.Poll[bool](`document.getElementById("orders-placed").textContent === "1"`))
	if got := eval[string](v, `[scrollY, document.getElementById("q").value, document.activeElement.getAttribute("href")].join(" ")`); got != "150 536 /orders?status=rejected" {
		t.Errorf("after a refresh: %q, want scroll position, search text and focus kept", got)
	}
	v.calm()
}

func TestPagesWorkWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.visit()
	v.place(`{"number":"536365","lines":[{"sku":"TIN","quantity":2,"unit_price":"3.2"}]}`)
	v.do("turn scripts off", withoutScripts())
	v.open("/")
	v.do("search", types("#q", "536365\r"), shows("#story"))
	if got := v.text("h1"); got != "Order 536365 placed" {
		t.Errorf("heading = %q", got)
	}
	refresh := answered(v, "look for the browser's own refresh", chromedp.AttributeValue(chromedp.CSS("noscript meta"), "content"))
	if refresh.Value != "20" {
		t.Errorf("the page reloads every %q s, want 20", refresh.Value)
	}
	v.calm()
}

// TestPagesFitTheirScreen looks at every page with rich data. With TEST_SCREENSHOTS=DIR it leaves pictures
// there, for people to look at.
func TestPagesFitTheirScreen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	paths := s.furnish()
	v := s.visit()
	fits := func(path string) {
		t.Helper()
		v.open(path)
		if got := eval[string](v, overflowing); got != "" {
			t.Errorf("%s at %d px: wider than the screen, or cut: %s", path, eval[int](v, "innerWidth"), got)
		}
	}
	for _, looks := range []struct {
		name   string
		width  int64
		scheme string
	}{{"desktop-light", 1280, "light"}, {"desktop-dark", 1280, "dark"}, {"phone-light", 390, "light"}, {"phone-dark", 390, "dark"}, {"phone-small", 360, "light"}} {
		v.do("set the screen", screen(looks.width, 800, looks.scheme))
		for name, path := range paths {
			fits(path)
			if dir := os.Getenv("TEST_SCREENSHOTS"); dir != "" {
				picture := answered(v, "take a picture", chromedp.FullScreenshot(100))
				if err := os.WriteFile(fmt.Sprintf("%s/%s-%s.png", dir, name, looks.name), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// overflowing names what is wider than the screen, or wider than its own box.
const overflowing = `[...document.querySelectorAll("body, body *")].filter(e => !e.matches(".hidden, .skip") &&
	(e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== "inline"))
	.map(e => e.tagName + "." + e.className + " " + e.textContent.trim().slice(0, 40)).slice(0, 5).join("; ")`

// furnish gives the shop a busy day, and answers the pages that show it, by name.
func (s shop) furnish() map[string]string {
	s.t.Helper()
	s.fill(400)
	s.text("worker", "--once")
	s.text("orders", "place", "--number", hostileNumber, "--line", "TIN:2:3.20")
	s.text("orders", "place", "--number", "waits-"+strings.Repeat("0123456789abcdef", 8), "--customer", "C-007", "--line", "TEAPOT:5000:24.50", "--line", "CARD:1:1.85")
	s.text("worker", "--once")
	for n := range 60 {
		s.text("orders", "place", "--number", fmt.Sprintf("N-%04d", n), "--line", "MUG-RED:1:6.95")
	}
	s.exec(`
		update river_job
		   set state = case when id % 3 = 0 then 'discarded' else 'retryable' end::river_job_state,
		       attempt = case when id % 3 = 0 then 10 else 2 end, created_at = now() - interval '3 minutes', attempted_at = now() - interval '40 seconds',
		       finalized_at = case when id % 3 = 0 then now() - interval '30 seconds' end,
		       scheduled_at = now() + interval '11 minutes', attempted_by = '{web-7_2026_03_04T12_00_00_000000}',
		       errors = array[jsonb_build_object('attempt', 1, 'at', now() - interval '2 minutes', 'error', 'process order ' || id || ': connection refused', 'trace', ''),
		                      jsonb_build_object('attempt', case when id % 3 = 0 then 10 else 2 end, 'at', now() - interval '30 seconds', 'error', case when id % 2 = 0
		                        then 'process order ' || (args ->> 'order_id') || ': reserve sku "MUG-RED": canceling statement due to lock timeout (SQLSTATE 55P03)'
		                        else 'process order ' || (args ->> 'order_id') || ': write ledger: numeric field overflow in a very long sentence about a very long thing: ' || repeat('0123456789', 12) end, 'trace', '')]
		 where state = 'available' and id % 2 + id % 3 < 3 and id % 5 <> 0`)
	s.exec(`insert into river_queue (name, created_at, updated_at, paused_at) values ('maintenance', now(), now(), '2026-03-04 11:30Z') on conflict (name) do update set paused_at = excluded.paused_at`)
	s.exec(`
		insert into worker_processes (client_id, host, pid, version, queues, dead_after, started_at, beat_at, stopping_at, declared_dead_at, poll_only)
		values ('web-1_2026_03_04T11_58_31_104233', 'web-1', 4711, 'v0.3.0', '{maintenance,orders}', '1 year', '2026-03-04 11:58:31Z', now(), null, null, false),
		       ('web-2_2026_03_04T11_58_33_400120', 'web-2', 4712, 'v0.3.0', '{maintenance,orders}', '1 year', '2026-03-04 11:58:33Z', now(), now(), null, false),
		       ('web-3_2026_03_04T09_12_02_900441', 'web-3', 99, 'v0.2.9', '{orders}', '10 seconds', '2026-03-04 09:12:02Z', now() - interval '3 minutes', null, null, false),
		       ('a-host-with-a-long-name-4_2026_03_04T09_', 'a-host-with-a-long-name.example.com', 1, 'v0.2.9', '{maintenance,orders}', '10 seconds', '2026-03-04 09:12:00Z', now() - interval '20 minutes', null, now() - interval '19 minutes', false)`)
	s.exec(`
		insert into schedules (name, kind, spec, timezone, next_run_at, paused_at, last_error)
		values ('stock-report', 'reconcile_orders', '0,15,30,45 6-22 1-31 JAN-DEC MON-FRI', 'America/Argentina/ComodRivadavia', now() + interval '1 hour', null, null),
		       ('a-name-as-long-as-a-name-can-be-0123456789-0123456789-0123456789', 'reconcile_orders', 'every 1h', 'UTC', now() - interval '3 hours', null, null),
		       ('weekly-report', 'reconcile_orders', '30 6 * * MON', 'Europe/London', now(), now(), null),
		       ('broken', 'sing', 'every 30s', 'UTC', now(), null, 'kind "sing" is unknown; this build knows clean_up, process_order, reconcile_orders: ' || repeat('0123456789', 12))`)
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome, job_id) select 'stock-report', now() - n * interval '15 minutes', case when n = 1 then 'enqueued' else 'skipped' end, case when n = 1 then (select min(id) from river_job where state = 'completed') end from generate_series(1, 500) n`)
	reports := s.furnishReports()
	waits := s.number(`select min(order_id) from order_waits`)
	s.exec(`insert into audit_log (actor, api_key_id, action, target, reason, request_id) values ('key night-shift', 1, 'cancel_order', 'order ' || $1, 'customer called', 'r1')`, fmt.Sprint(waits))
	failed := s.number(`select min(id) from river_job where state = 'discarded'`)
	return map[string]string{
		"status":  "/",
		"orders":  "/orders",
		"waits":   fmt.Sprintf("/orders/%d", waits),
		"order":   fmt.Sprintf("/orders/%d", s.number(`select min(order_id) from stock_movements where order_id in (select order_id from order_lines group by 1 having count(*) > 2)`)),
		"failed":  "/orders/" + fmt.Sprint(s.number(`select (args ->> 'order_id')::integer from river_job where id = $1`, failed)),
		"long":    fmt.Sprintf("/orders/%d", s.number(`select id from orders where number like 'waits-%'`)),
		"hostile": fmt.Sprintf("/orders/%d", s.number(`select id from orders where number = $1`, hostileNumber)),
		"job":     fmt.Sprintf("/jobs/%d", failed),
		"found":   fmt.Sprintf("/search?q=%d", failed),
		"nothing": "/search?q=nobody",
		"docs":    "/api/docs",
		"reports": "/reports",
		"made":    fmt.Sprintf("/reports/%d", reports[0]),
		"running": fmt.Sprintf("/reports/%d", reports[2]),
		"broken":  fmt.Sprintf("/reports/%d", reports[3]),
	}
}

// furnishReports makes two reports, lets the second expire, and leaves one running, one failed and two queued. It
// answers their ids.
func (s shop) furnishReports() (ids [6]int64) {
	s.t.Helper()
	ask := func(n int, more ...string) {
		var asked askedReport
		s.json(&asked, append([]string{"enqueue", "generate-report", "--type", "sales-summary", "--from", "2026-01-01", "--to", "2026-12-31", "--timezone", "Europe/London"}, more...)...)
		ids[n] = asked.ID
	}
	ask(0, "--format", "pdf")
	ask(1, "--format", "html")
	s.text("worker", "--once")
	ask(2, "--format", "csv")
	ask(3, "--format", "jsonl")
	ask(4, "--format", "xlsx")
	ask(5, "--format", "pdf", "--by", "day", "--param", "country=United Kingdom of Great Britain and Northern Ireland")
	s.exec(`update reports set expired_at = now() where id = $1`, ids[1])
	s.exec(`update artifacts set deleting_at = now() where report_id = $1`, ids[1])
	s.exec(`update reports set status = 'running', started_at = now() - interval '3 minutes', done = 0.4567, rows = 12345678, bytes = 1456700000 where id = $1`, ids[2])
	s.exec(`update reports set status = 'failed', finished_at = now(), error = 'write part 3 of report 4 to file:reports/4/3-0123456789abcdef: no space left on device' where id = $1`, ids[3])
	s.exec(`update river_job set state = 'cancelled', finalized_at = now() where kind = 'generate_report' and state = 'available'`)
	s.exec(`insert into audit_log (actor, api_key_id, action, target, request_id) values ('key night-shift', 1, 'cancel_report', 'report ' || $1, 'r2')`, fmt.Sprint(ids[0]))
	return ids
}
