package api_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"backoffice/internal/api"
)

// everyPage is a path of each kind of page, on a shop that has order 1, job 1, and perhaps report 1.
var everyPage = []string{"/", "/orders", "/orders?status=awaiting_stock", "/orders/1", "/jobs/1", "/search?q=1", "/search?q=nobody", "/orders/777", "/reports", "/reports/1", "/api/docs"}

// ask gets a path, and shows an answer that leads elsewhere as it is.
func (s *shop) ask(path string, headers ...string) answer {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	return answer{status: response.StatusCode, header: response.Header}
}

// page is the HTML at a path.
func (s *shop) page(path string, status int, headers ...string) string {
	s.t.Helper()
	got := s.get(path, headers...)
	if got.status != status || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		s.t.Fatalf("%s: status %d of type %q, want %d and a page: %.300s", path, got.status, got.header.Get("Content-Type"), status, got.body)
	}
	return got.body
}

func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("%q is missing in the page:\n%s", text, seen(page))
		}
	}
}

var (
	tags   = regexp.MustCompile(`(?s)<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// seen is the text of a page, without its elements.
func seen(page string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(page, " ")), " "))
}

// part is the text of the element with an id, up to the end of the element given.
func part(t *testing.T, page, id, end string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `id="`+id+`"`)
	inside, _, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("there is no %q in the page:\n%s", id, seen(page))
	}
	return seen("<" + inside)
}

func TestPagesOfAnEmptyDatabaseSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wants(t, s.page("/", http.StatusOK), "No worker process is alive. Start one: backoffice worker", "No queue yet", "No job waits to be retried", "No worker process has started")
	wants(t, s.page("/orders", http.StatusOK), "No orders yet.")
	wants(t, s.page("/orders?status=rejected", http.StatusOK), "No orders of this status.")
	wants(t, s.page("/search?q=1", http.StatusNotFound), "Nothing is called")
	wants(t, s.page("/api/docs", http.StatusOK), "Place an order")
	for path, sentence := range map[string]string{
		"/orders/1":           "There is no order with id 1.",
		"/orders/x":           "is no id of an order",
		"/orders/0":           "is no id of an order",
		"/jobs/1":             "There is no job 1",
		"/jobs/-1":            "is no id of a job",
		"/orders?status=lost": "No order can have status",
		"/orders?before=x":    "is no id of an order",
	} {
		wants(t, s.page(path, http.StatusNotFound), sentence)
	}
	s.refused(s.post("/", `{}`), http.StatusMethodNotAllowed, "", "GET, HEAD")
	s.refused(s.get("/orders/1/lines"), http.StatusNotFound, "path")
}

const script = `<script>alert(1)</script>`

func TestPagesEscapeEverything(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	quoted := `\u003cscript\u003ealert(1)\u003c/script\u003e`
	s.place(`{"number":"` + quoted + `","customer":"` + quoted + `","country":"` + quoted + `","lines":[{"sku":"` + quoted + `","description":"` + quoted + `","quantity":1,"unit_price":"1"}]}`)
	s.exec(`update orders set status = 'awaiting_stock', reason = $1`, script)
	s.exec(`insert into order_waits (sku, order_id, needed, since) values ($1, 1, 7, now())`, script)
	s.exec(`insert into order_transitions (order_id, from_status, to_status, at) values (1, $1, $1, now())`, script)
	s.exec(`insert into stock_movements (sku, quantity, reason, order_id, at) values ($1, -1, 'sale', 1, now())`, script)
	s.exec(`insert into audit_log (actor, action, target, reason) select $1, $1, target, $1 from unnest('{order 1,job 1}'::text[]) target`, script)
	s.exec(`update river_job set state = 'discarded', finalized_at = now(), kind = $1, queue = $1, args = jsonb_build_object('order_id', 1, 'x', $1::text), attempted_by = array[$1],
		errors = array[jsonb_build_object('attempt', 1, 'at', now(), 'error', $1::text)]`, script)
	s.exec(`insert into river_job (kind, queue, args, state, attempt, max_attempts, attempted_at, attempted_by) values ('process_order', $1, '{"order_id": 1}', 'running', 1, 9, now(), array[$1])`, script)
	s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at) values ($1, $1, 1, $1, array[$1], now(), now())`, script)
	inline := regexp.MustCompile(`(?i)<script>|<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
	outside := regexp.MustCompile(`(?i)(src|href|action)="(https?:)?//`)
	for _, path := range append(everyPage, "/search?q="+strings.ReplaceAll(script, "/", "%2F")+"2", "/orders?status="+strings.ReplaceAll(script, "/", "%2F")) {
		got := s.get(path)
		if found := inline.FindString(got.body); found != "" {
			t.Errorf("%s has %q in it", path, found)
		}
		if found := outside.FindString(got.body); found != "" {
			t.Errorf("%s loads something from elsewhere: %s", path, found)
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; script-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
	}
	for path, times := range map[string]int{"/": 7, "/orders": 2, "/orders/1": 11, "/jobs/1": 8} {
		if n := strings.Count(s.page(path, http.StatusOK), "&lt;script&gt;alert(1)&lt;/script&gt;"); n < times {
			t.Errorf("%s shows the text %d times, want %d: it is lost somewhere", path, n, times)
		}
	}
}

func TestOrderAndJobPagesTellTheWholeStory(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(`{"number":"536365","customer":"17850","country":"France","currency":"EUR","placed_at":"2010-12-01T08:26:00Z","lines":[{"sku":"85123A","description":"heart","quantity":6,"unit_price":"2.55"},{"sku":"POST","quantity":1,"unit_price":"0.0015"}]}`)
	s.exec(`update orders set status = 'processed'`)
	s.exec(`insert into order_transitions (order_id, from_status, to_status, at, job_id) values (1, 'placed', 'processed', '2026-03-04 12:00:07Z', 1)`)
	s.exec(`insert into order_effects (order_id, effect, job_id, applied_at) values (1, 'stock', 1, '2026-03-04 12:00:07Z')`)
	s.exec(`insert into ledger_entries (order_id, account, amount, at) values (1, 'receivable', 15.3015, '2026-03-04 12:00:07Z'), (1, 'revenue', -15.3015, '2026-03-04 12:00:07Z')`)
	s.exec(`insert into stock_movements (sku, quantity, reason, order_id, at) values ('85123A', -6, 'sale', 1, '2026-03-04 12:00:07Z')`)
	s.exec(`insert into audit_log (at, actor, action, target, reason) values ('2026-03-04 12:30Z', 'key night', 'cancel_order', 'order 1', 'customer called'), (now(), 'local', 'retry_job', 'job 1', null)`)
	s.exec(`update river_job set state = 'completed', attempt = 2, attempted_at = '2026-03-04 12:00:06Z', finalized_at = '2026-03-04 12:00:07Z', attempted_by = '{web-1,web-2}',
		errors = array[jsonb_build_object('attempt', 1, 'at', '2026-03-04T12:00:01Z', 'error', 'connection refused')]`)
	page := s.page(fmt.Sprintf("/orders/%d", id), http.StatusOK)
	text := seen(page)
	for _, want := range []string{
		"Order 536365 processed", "Amount 15.3015 EUR", "Customer 17850, France", "2010-12-01 08:26:00 placed", "2026-03-04 12:00:07 processed by job 1",
		"Job 1 completed attempt 2 of 10", "by web-2", "1 2026-03-04 12:00:01 connection refused",
		"85123A heart item 6 2.55", "POST item 1 0.0015", "stock 2026-03-04 12:00:07 job 1", "receivable 15.3015 EUR", "revenue −15.3015 EUR", "85123A −6 sale", "key night cancel order customer called",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	if strings.Contains(page, "http-equiv") {
		t.Error("the page of a final order refreshes itself")
	}
	text = seen(s.page("/jobs/1", http.StatusOK))
	for _, want := range []string{"Job 1 completed", "Order with id 1", "Attempt 2 of 10", "2026-03-04 12:00:01 failed attempt 1", "began attempt 2 by web-2", "2026-03-04 12:00:07 completed attempt 2", "connection refused", `"order_id": 1`, "web-1 web-2", "local retry job"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	s.exec(`update river_job set state = 'discarded'`)
	wants(t, s.page("/orders/1", http.StatusOK), "backoffice jobs retry 1")
	wants(t, s.page("/jobs/1", http.StatusOK), "backoffice jobs retry 1")
	waiting := s.place(sale)
	wants(t, s.page(fmt.Sprintf("/orders/%d", waiting), http.StatusOK), `http-equiv="refresh"`, "/assets/page.js")
	plain := one[int64](s, `insert into orders (number) values ('by SQL') returning id`)
	wants(t, s.page(fmt.Sprintf("/orders/%d", plain), http.StatusOK), "It has no job yet.", "No lines.", "None is kept")
}

func TestLongOrderIsShownInPart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number) values ('long')`)
	s.exec(`insert into order_lines (order_id, line_no, sku, quantity, unit_price) select 1, n, 'S' || n, 1, 1 from generate_series(1, 9999) n`)
	page := s.page("/orders/1", http.StatusOK)
	wants(t, seen(page), "Amount 9999.00 GBP", "S200 ", "And 9,799 more: backoffice orders show 1")
	if strings.Contains(page, "S201<") || len(page) > 100_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestSearchLeadsToTheOrderOrJob(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number) values ('536365'), ('SO / 7 & "x"'), ('3')`)
	s.exec(`insert into river_job (id, kind, queue, args, max_attempts) values (3, 'process_order', 'orders', '{}', 1), (50, 'process_order', 'orders', '{}', 1)`)
	for query, path := range map[string]string{
		"536365": "/orders/1", "%20536365%20": "/orders/1", "SO+/+7+%26+%22x%22": "/orders/2", "1": "/orders/1", "%231": "/orders/1", "50": "/jobs/50", "": "/", "%20": "/",
	} {
		if got := s.ask("/search?q=" + query); got.status != http.StatusSeeOther || got.header.Get("Location") != path {
			t.Errorf("q=%s leads to %d %q, want %q", query, got.status, got.header.Get("Location"), path)
		}
	}
	wants(t, s.page("/search?q=3", http.StatusOK), `href="/orders/3"`, `href="/jobs/3"`, `value="3"`)
	for _, query := range []string{"nobody", "0", "-1", "99999999999999999999", "9223372036854775807", strings.Repeat("x", 5000)} {
		wants(t, s.page("/search?q="+query, http.StatusNotFound), "Nothing is called")
	}
	s.refused(s.get("/search?q=%00"), http.StatusBadRequest, "query.q")
}

func TestOrdersArePagedOnThePage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number) select 'N' || n || '.' from generate_series(1, 120) n`)
	s.exec(`update orders set status = 'rejected', reason = 'too much' where id in (1, 100)`)
	walk := func(path string) (numbers []string) {
		for path != "" {
			page := s.page(path, http.StatusOK)
			for _, row := range regexp.MustCompile(`<a href="/orders/\d+">N(\d+)\.`).FindAllStringSubmatch(page, -1) {
				numbers = append(numbers, row[1])
			}
			path = ""
			if next := regexp.MustCompile(`<a href="([^"]*before=[^"]*)"`).FindStringSubmatch(page); next != nil {
				path = html.UnescapeString(next[1])
			}
		}
		return numbers
	}
	if got := walk("/orders"); len(got) != 120 || got[0] != "120" || got[119] != "1" {
		t.Errorf("all pages list %v", got)
	}
	if got := strings.Join(walk("/orders?status=rejected"), " "); got != "100 1" {
		t.Errorf("rejected are %s, want 100 1", got)
	}
}

func TestPagesAskForAKeyOnceThereIsOne(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(sale)
	reader, placer := s.key("reader", api.ScopeRead), s.key("placer", api.ScopeEnqueue)
	server := httptest.NewServer(s.api()) // one that has not read the keys before
	t.Cleanup(server.Close)
	s.url = server.URL
	basic := func(bearer []string, user string) []string {
		request := http.Request{Header: http.Header{}}
		request.SetBasicAuth(user, strings.TrimPrefix(bearer[1], "Bearer "))
		return []string{"Authorization", request.Header.Get("Authorization")}
	}
	for _, path := range everyPage {
		if path == "/api/docs" {
			s.page(path, http.StatusOK)
			continue
		}
		for name, headers := range map[string][]string{
			"no key": nil, "an unknown key": basic([]string{"", "Bearer bo_wrong"}, "me"), "a key without scope read": basic(placer, ""), "a bearer without scope read": placer, "nonsense": {"Authorization", "Basic !"},
		} {
			got := s.get(path, headers...)
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != `Basic realm="backoffice", charset="UTF-8"` || strings.Contains(got.body, "TIN") {
				t.Errorf("%s with %s answers %d, %q", path, name, got.status, got.header.Get("WWW-Authenticate"))
			}
			wants(t, got.body, "scope read")
		}
		for name, headers := range map[string][]string{"a key as password": basic(reader, ""), "with any user": basic(reader, "me"), "a bearer": reader} {
			if got := s.ask(path, headers...); got.status == http.StatusUnauthorized {
				t.Errorf("%s with %s answers %d", path, name, got.status)
			}
		}
	}
	for _, path := range []string{"/assets/page.css", "/assets/page.js", "/assets/icon.svg", "/api/openapi.json"} {
		if got := s.get(path); got.status != http.StatusOK {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
	s.refused(s.get("/api/orders", basic(reader, "")...), http.StatusUnauthorized, "header.Authorization")
}

func TestAssetIsLoadedOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, media := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		got := s.get("/assets/" + name)
		if got.header.Get("Content-Type") != media || got.header.Get("ETag") == "" || got.body == "" {
			t.Errorf("%s: type %q, tag %q", name, got.header.Get("Content-Type"), got.header.Get("ETag"))
		}
		if again := s.get("/assets/"+name, "If-None-Match", got.header.Get("ETag")); again.status != http.StatusNotModified {
			t.Errorf("%s asked for again: %d, want 304", name, again.status)
		}
	}
}

func TestPageThatTakesTooLongSaysSoAndTriesAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(c *api.Config) { c.Handle = time.Nanosecond })
	got := s.get("/")
	if got.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After = %q", got.header.Get("Retry-After"))
	}
	wants(t, s.page("/", http.StatusServiceUnavailable), "This page tries again.", `http-equiv="refresh"`)
}
