package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"backoffice/internal/queue"
)

// enqueued is the answer to POST /api/jobs.
type enqueued struct {
	ID        int64
	Kind      string
	Queue     string
	State     string
	Duplicate bool
}

func TestJobIsEnqueuedAsItsKindPromises(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.orderWithoutJob(41)
	got := s.post("/api/jobs", `{"kind":"process_order","args":{"order_id":41}}`)
	job := must[enqueued](s, got, http.StatusAccepted)
	if job.Kind != "process_order" || job.Queue != "orders" || job.State != "available" || job.Duplicate || got.header.Get("Location") != fmt.Sprintf("/api/jobs/%d", job.ID) {
		t.Errorf("answered %+v at %q", job, got.header.Get("Location"))
	}
	again := must[enqueued](s, s.post("/api/jobs", `{"kind":"process_order","args":{"order_id":41}}`), http.StatusAccepted)
	if again.ID != job.ID || !again.Duplicate {
		t.Errorf("the same job again = %+v, want the first as a duplicate", again)
	}
	later := must[enqueued](s, s.post("/api/jobs", `{"kind":"reconcile_orders","queue":"orders","priority":4}`), http.StatusAccepted)
	if later.State != "available" || later.Queue != "orders" {
		t.Errorf("answered %+v", later)
	}
	want := "process_order orders 1 10 available {\"order_id\": 41}, reconcile_orders orders 4 3 available {}"
	if stored := one[string](s, `select string_agg(concat_ws(' ', kind, queue, priority, max_attempts, state, args), ', ' order by id) from river_job`); stored != want {
		t.Errorf("stored %s\nwant   %s", stored, want)
	}
}

// orderWithoutJob stores an order that something else has stored, or whose job is deleted.
func (s *shop) orderWithoutJob(id int64) {
	s.t.Helper()
	s.exec(`insert into orders (id, number) overriding system value values ($1::bigint, $1::bigint::text)`, id)
}

func TestRefusedJobNamesTheFieldAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, tc := range []struct {
		name, body string
		status     int
		at         string
		words      []string
	}{
		{"an unknown kind", `{"kind":"send_mail"}`, 422, "body.kind", []string{"process_order, reconcile_orders"}},
		{"no kind", `{"args":{}}`, 422, "body", []string{"kind"}},
		{"args of another type", `{"kind":"process_order","args":{"order_id":"41"}}`, 422, "body.args.order_id", []string{"expected integer"}},
		{"a fraction", `{"kind":"process_order","args":{"order_id":1.5}}`, 422, "body.args.order_id", nil},
		{"beyond 64 bits", `{"kind":"process_order","args":{"order_id":9223372036854775808}}`, 422, "body.args.order_id", nil},
		{"a missing arg", `{"kind":"process_order"}`, 422, "body.args", []string{"order_id"}},
		{"an unknown arg", `{"kind":"process_order","args":{"order_id":1,"colour":"red"}}`, 422, "body.args.colour", nil},
		{"an arg in other letters", `{"kind":"process_order","args":{"Order_ID":1}}`, 422, "body.args.Order_ID", nil},
		{"an arg that is null", `{"kind":"process_order","args":{"order_id":null}}`, 422, "body.args.order_id", nil},
		{"an arg that no order has", `{"kind":"process_order","args":{"order_id":0}}`, 422, "body.args", []string{"wants the id of an order"}},
		{"an order that does not exist", `{"kind":"process_order","args":{"order_id":41}}`, 422, "body.args.order_id", []string{"order 41 does not exist"}},
		{"args that are a list", `{"kind":"process_order","args":[1]}`, 422, "body.args", nil},
		{"a NUL in an arg", `{"kind":"process_order","args":{"a\u0000":1}}`, 400, "body.args", nil},
		{"an unknown queue", `{"kind":"reconcile_orders","queue":"ordres"}`, 422, "body.queue", []string{"maintenance, orders"}},
		{"a priority of none", `{"kind":"reconcile_orders","priority":5}`, 422, "body.priority", nil},
		{"the timetable's job, put off", `{"kind":"reconcile_orders","scheduled_at":"9999-01-01T00:00:00Z"}`, 422, "body.scheduled_at", []string{"cannot be put off"}},
		{"an order's job, put off", `{"kind":"process_order","args":{"order_id":41},"scheduled_at":"2026-01-01T00:00:00Z"}`, 422, "body.scheduled_at", []string{"cannot be put off"}},
	} {
		t.Run(tc.name, func(t *testing.T) { s.refused(s.post("/api/jobs", tc.body), tc.status, tc.at, tc.words...) })
	}
	if n := one[int](s, `select count(*) from river_job`); n != 0 {
		t.Errorf("%d jobs are stored", n)
	}
}

func TestJobTellsItsLife(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into river_job (kind, queue, args, state, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at, attempted_by, errors)
	        values ('process_order', 'orders', '{"order_id": 7}', 'discarded', 2, 2, '2026-03-04 12:00Z', '2026-03-04 12:00:02Z', '2026-03-04 12:00:03Z', '2026-03-04 12:00:04Z', '{a,b}',
	          array['{"at": "2026-03-04T12:00:01Z", "attempt": 1, "error": "no stock", "trace": ""}', '{"at": "2026-03-04T12:00:04Z", "attempt": 2, "error": "no luck", "trace": "secret"}']::jsonb[])`)
	id := one[int64](s, `select id from river_job`)
	got := s.get(fmt.Sprintf("/api/jobs/%d", id))
	job := must[struct {
		queue.Job
		LastError string `json:"last_error"`
		Timeline  []queue.Event
	}](s, got, http.StatusOK)
	var life []string
	for _, e := range job.Timeline {
		life = append(life, fmt.Sprint(e.At.Second(), " ", e.Event, " ", e.Attempt))
	}
	if want := "0 created 0, 1 failed 1, 3 began 2, 4 failed 2, 4 discarded 2"; strings.Join(life, ", ") != want {
		t.Errorf("timeline = %s\nwant       %s", strings.Join(life, ", "), want)
	}
	if job.LastError != "no luck" || len(job.Errors) != 2 || strings.Join(job.AttemptedBy, "") != "ab" || got.header.Get("Retry-After") != "" {
		t.Errorf("job = %s", got.body)
	}
	s.refused(s.get("/api/jobs/900"), 404, "path.id", "job 900 does not exist")
}

func TestJobsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into river_job (id, kind, queue, args, state, max_attempts, finalized_at)
	        overriding system value values (1, 'a', 'q', '{}', 'completed', 1, now()), (2, 'b', 'q', '{}', 'available', 1, null),
	               (3, 'a', 'r', '{}', 'available', 1, null), (4, 'a', 'q', '{}', 'retryable', 1, null)`)
	list := func(path string) (ids []int64) {
		for path != "" {
			page := must[struct {
				Jobs []queue.Job
				Next string
			}](s, s.get(path), http.StatusOK)
			for _, job := range page.Jobs {
				ids = append(ids, job.ID)
			}
			path = page.Next
		}
		return ids
	}
	for path, want := range map[string][]int64{
		"/api/jobs": {4, 3, 2, 1}, "/api/jobs?limit=1": {4, 3, 2, 1}, "/api/jobs?kind=a&limit=1": {4, 3, 1}, "/api/jobs?queue=q&kind=a&limit=2": {4, 1},
		"/api/jobs?state=available": {3, 2}, "/api/jobs?after=3": {2, 1}, "/api/jobs?kind=none": nil,
	} {
		if got := list(path); !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", path, got, want)
		}
	}
	s.refused(s.get("/api/jobs?state=stuck"), 422, "query.state")
}

func TestOperatorRetriesAndCancelsJobs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into river_job (id, kind, queue, args, state, attempt, max_attempts, finalized_at, attempted_at)
	        overriding system value values (1, 'a', 'q', '{}', 'discarded', 3, 3, now(), now()), (2, 'a', 'q', '{}', 'available', 0, 3, null, null),
	               (3, 'a', 'q', '{}', 'running', 1, 3, null, now())`)
	s.exec(`select setval(pg_get_serial_sequence('river_job', 'id'), 10)`)
	s.exec(`insert into job_crashes values (1, 2, now(), 'gone')`)

	retried := must[queue.Job](s, s.post("/api/jobs/1/retry", "", "X-Request-Id", "call-7"), http.StatusOK)
	if retried.State != "available" || retried.MaxAttempts != 4 {
		t.Errorf("retried = %+v", retried)
	}
	if n := one[int](s, `select count(*) from job_crashes`); n != 0 {
		t.Error("its crashes are not forgotten")
	}
	if cancelled := must[queue.Job](s, s.post("/api/jobs/2/cancel", ""), http.StatusOK); cancelled.State != "cancelled" {
		t.Errorf("cancelled = %+v", cancelled)
	}
	must[queue.Job](s, s.post("/api/jobs/3/cancel", ""), http.StatusOK)
	if !one[bool](s, `select metadata ? 'cancel_attempted_at' from river_job where id = 3`) {
		t.Error("the running job was not asked to stop")
	}
	s.refused(s.post("/api/jobs/3/retry", ""), 409, "", "is running")
	s.orderWithoutJob(41)
	first := must[enqueued](s, s.post("/api/jobs", `{"kind":"process_order","args":{"order_id":41}}`), http.StatusAccepted).ID
	s.exec(`update river_job set state = 'discarded', finalized_at = now() where id = $1`, first)
	must[enqueued](s, s.post("/api/jobs", `{"kind":"process_order","args":{"order_id":41}}`), http.StatusAccepted)
	s.refused(s.post(fmt.Sprintf("/api/jobs/%d/retry", first), ""), 409, "", "another unfinished job does the same")
	s.refused(s.post("/api/jobs/2/cancel", ""), 409, "", "job 2 is cancelled already")
	s.refused(s.post("/api/jobs/9/retry", ""), 404, "path.id")
	s.refused(s.post("/api/jobs/9/cancel", ""), 404, "path.id")
	s.refused(s.post("/api/jobs/x/cancel", ""), 422, "path.id")

	want := "retry_job job 1 call-7, cancel_job job 2, cancel_job job 3"
	got := one[string](s, `select string_agg(concat_ws(' ', action, target, case when request_id = 'call-7' then request_id end), ', ' order by id) from audit_log`)
	if got != want {
		t.Errorf("audit_log has %s\nwant          %s", got, want)
	}
}

func TestJobThatAnOrderDependsOnIsNotCancelledAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(sale)
	job := one[int64](s, `select id from river_job`)
	cancel := fmt.Sprintf("/api/jobs/%d/cancel", job)
	for _, status := range []string{"placed", "awaiting_stock"} {
		s.exec(`update orders set status = $1`, status)
		got := s.refused(s.post(cancel, ""), 409, "", fmt.Sprintf("POST /api/orders/%d/cancel", id))
		if got.Type != "urn:backoffice:problem:order-not-final" {
			t.Errorf("type = %s", got.Type)
		}
	}
	if state := one[string](s, `select state from river_job`); state != "available" {
		t.Errorf("the job is %s", state)
	}
	s.exec(`update orders set status = 'rejected'`) // by another job: this one has nothing left to do
	must[queue.Job](s, s.post(cancel, ""), http.StatusOK)
	s.refused(s.post(cancel, ""), 409, "", "is cancelled already")
}

func TestKindsTellTheirContractAndSchema(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	type kind struct {
		Kind                 string
		Queue                string
		MaxAttempts          int             `json:"max_attempts"`
		HarmlessTwiceBecause string          `json:"harmless_twice_because"`
		ArgsSchema           json.RawMessage `json:"args_schema"`
	}
	kinds := must[struct{ Kinds []kind }](s, s.get("/api/kinds"), http.StatusOK).Kinds
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.Kind == "process_order" })
	if at < 0 || kinds[at].Queue != "orders" || kinds[at].MaxAttempts != 10 || kinds[at].HarmlessTwiceBecause == "" {
		t.Fatalf("kinds = %+v", kinds)
	}
	if want := `{"additionalProperties":false,"properties":{"order_id":{"format":"int64","type":"integer"}},"required":["order_id"],"type":"object"}`; string(kinds[at].ArgsSchema) != want {
		t.Errorf("schema = %s\nwant     %s", kinds[at].ArgsSchema, want)
	}
}
