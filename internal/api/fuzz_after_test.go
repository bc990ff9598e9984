package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/verify"
)

// undo does what an operator would who has cancelled jobs without their orders, paused the queues and left a
// schedule that cannot be read: until then verify names the schedule, and orders that are left without a job.
func (f *fuzzRun) undo() {
	f.t.Helper()
	for path := range f.ended {
		if got := f.post(path+"/retry", "", "Authorization", f.keys["all"]); got.status != http.StatusOK && got.status != http.StatusConflict {
			f.t.Errorf("retry %s: %+v", path, got)
		}
	}
	f.exec(`delete from schedules where name = 'broken'`)
	for _, name := range []string{"orders", "maintenance"} {
		f.post("/api/queues/"+name+"/resume", "", "Authorization", f.keys["all"])
	}
	pgtest.Eventually(f.t, "no job is left that is due", func() (bool, error) {
		return one[int](f.shop, `select count(*) from river_job where state in ('available', 'running')`) == 0, nil
	})
}

// report shows what was reached.
func (f *fuzzRun) report(took time.Duration) {
	f.t.Logf("%d requests in %s, seed %d; %d answers given again by idempotency key; %d faults", f.requests, took.Round(time.Millisecond), f.seed, f.replays, f.faults)
	for _, name := range slices.Sorted(maps.Keys(f.seen)) {
		var counts []string
		for _, status := range slices.Sorted(maps.Keys(f.seen[name])) {
			counts = append(counts, fmt.Sprintf("%d: %d", status, f.seen[name][status]))
		}
		f.t.Logf("%-18s %s", name, strings.Join(counts, ", "))
	}
}

// rarely are statuses that a sound server under this load need not answer.
var rarely = []int{http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}

// byLuck says whether the operation answers a status only when two requests meet, or when a request is broken
// that has next to nothing to break.
func (op *operation) byLuck(status int) bool {
	switch status {
	case http.StatusConflict:
		return op.id == "enqueueJob" || op.id == "generateReport"
	case http.StatusOK:
		return op.id == "generateReport"
	case http.StatusBadRequest:
		return len(op.parameters) == 0 && op.body == nil
	}
	return false
}

// checkReach asks that the run has met what the document declares: who finds no fault may have looked
// nowhere.
func (f *fuzzRun) checkReach() {
	if f.requests < 20_000 {
		return
	}
	for _, op := range f.spec.operations {
		for status := range op.answers {
			if f.seen[op.id][status] == 0 && !op.byLuck(status) && !slices.Contains(rarely, status) {
				f.t.Errorf("%s never answered %d", op.id, status)
			}
		}
	}
	if f.replays == 0 {
		f.t.Error("no idempotency key was used again")
	}
}

// checkLog asks that nothing was logged as an error, and no secret at all.
func (f *fuzzRun) checkLog() {
	for line := range strings.SplitSeq(f.log.String(), "\n") {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
			f.t.Errorf("logged: %.1000s", line)
		}
		for _, secret := range f.secrets {
			if strings.Contains(line, secret) {
				f.t.Errorf("an API key was logged: %.1000s", line)
			}
		}
	}
}

// checkTables asks that every order has its job, every job its order, and verify finds nothing.
func (f *fuzzRun) checkTables() {
	if n := one[int](f.shop, `select count(*) from orders o where not exists (select from river_job where kind = 'process_order' and args ->> 'order_id' = o.id::text)`); n > 0 {
		f.t.Errorf("%d orders have no job", n)
	}
	if n := one[int](f.shop, `select count(*) from river_job j where kind = 'process_order' and not exists (select from orders where id::text = j.args ->> 'order_id')`); n > 0 {
		f.t.Errorf("%d jobs have no order", n)
	}
	results, err := verify.Run(f.t.Context(), f.pool, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, result := range results {
		if result.Offenders > 0 {
			f.t.Errorf("verify: %s: %d offenders: %+v", result.Check.Name, result.Offenders, result.Shown)
		}
	}
	f.t.Logf("orders: %s", one[string](f.shop, `select string_agg(status || ' ' || n, ', ' order by status) from (select status, count(*) as n from orders group by status) as counted`))
	f.t.Logf("jobs: %s", one[string](f.shop, `select string_agg(kind || ' ' || state || ' ' || n, ', ' order by kind, state) from (select kind, state::text, count(*) as n from river_job group by 1, 2) as counted`))
}
