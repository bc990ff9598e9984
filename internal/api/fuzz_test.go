package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"backoffice/internal/api"
	"backoffice/internal/order"
	"backoffice/internal/pgtest"

	"github.com/jackc/pgx/v5"
)

const (
	fuzzMaxBody  = 64 << 10
	fuzzMaxBatch = 128 << 10
	fuzzSenders  = 6
	shownFaults  = 10
)

// The settings of a fuzz run: how many requests (32000), and which (1).
const (
	fuzzRequestsEnv = "BACKOFFICE_FUZZ_REQUESTS"
	fuzzSeedEnv     = "BACKOFFICE_FUZZ_SEED"
)

// A client of ours, a client's bug or an attacker: whatever is sent, every answer is one that the document
// declares, and the tables stay sound. A worker processes meanwhile, so that orders and jobs of every
// state are met.
func TestEveryAnswerIsAsTheDocumentDeclares(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: sends thousands of requests")
	}
	run := newFuzzRun(t)
	run.furnish()
	stop := run.startWorker("fuzz", map[string]int{"orders": 2, "maintenance": 1, "reports": 1})
	began := time.Now()
	run.sendAll()
	took := time.Since(began)
	run.undo()
	stop()
	run.report(took)
	run.checkReach()
	run.checkLog()
	run.checkTables()
}

// fuzzRun is one run and what it has seen.
type fuzzRun struct {
	*shop
	fuzzer
	requests uint64
	secrets  []string

	mu      sync.Mutex
	seen    map[string]map[int]int // by operation, or by what was sent instead: how often each status
	replies map[string]string      // by caller, route and Idempotency-Key: the answer that created
	ended   map[string]bool        // paths of jobs that were cancelled by name
	replays int                    // answers given again
	faults  int
}

func newFuzzRun(t *testing.T) *fuzzRun {
	t.Helper()
	s := &shop{t: t, pool: pgtest.Pool(t), log: &logs{}}
	address, stop := serve(t, s.api(func(cfg *api.Config) { cfg.MaxBody, cfg.MaxBatchBody = fuzzMaxBody, fuzzMaxBatch }), api.DefaultLimits)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	s.url = "http://" + address
	run := &fuzzRun{shop: s, seen: map[string]map[int]int{}, replies: map[string]string{}, ended: map[string]bool{}}
	run.requests = numberFromEnv(t, fuzzRequestsEnv, 32_000)
	run.fuzzer = fuzzer{spec: readSpec(t, s.get("/api/openapi.json").body), seed: numberFromEnv(t, fuzzSeedEnv, 1), most: int64(run.requests/4 + 1)}
	return run
}

func numberFromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("%s=%q is no number above zero", name, text)
	}
	return n
}

// furnish makes keys of every sort, and products of which there is little.
func (f *fuzzRun) furnish() {
	f.t.Helper()
	f.keys = map[string]string{"unknown": "Bearer nothing"}
	for name, scopes := range map[string][]api.Scope{"all": api.Scopes(), "enqueue": {api.ScopeEnqueue}, "read": {api.ScopeRead}, "operate": {api.ScopeOperate}, "revoked": api.Scopes()} {
		f.keys[name] = f.key(name, scopes...)[1]
		f.secrets = append(f.secrets, strings.TrimPrefix(f.keys[name], "Bearer "))
	}
	if _, err := api.RevokeKey(f.t.Context(), f.pool, "revoked"); err != nil {
		f.t.Fatal(err)
	}
	f.exec(`insert into schedules (name, kind, args, spec, built_in, paused_at) values ('broken', 'reconcile_orders', '{"x": 1}', 'now and then', true, now())`)
	f.furnishReports()
	err := pgx.BeginFunc(f.t.Context(), f.pool, func(tx pgx.Tx) error {
		if err := order.Track(f.t.Context(), tx, "TIN", "tin", 100_000_000, time.Now()); err != nil {
			return err
		}
		return order.Track(f.t.Context(), tx, "RARE", "of which there is little", 10, time.Now())
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

const (
	fuzzReports = 20 // completed, expired and failed ones
	fuzzReport  = "number,amount\nA-1,2.55\n"
)

// furnishReports makes reports of every sort that stays as it is, and some that wait for long.
func (f *fuzzRun) furnishReports() {
	f.t.Helper()
	for range fuzzReports {
		f.made("text/csv", "order-lines.csv", fuzzReport[:9], fuzzReport[9:])
	}
	f.exec(`update reports set status = 'failed', error = 'disk full' where id % 5 = 0`)
	f.exec(`update reports set expired_at = now() where id % 5 = 1`)
	f.exec(`delete from stored_objects where path in (select split_part(location, ':', 2) from artifact_parts where report_id % 5 < 2)`)
	f.exec(`delete from artifact_parts where report_id % 5 < 2`)
	f.exec(`delete from artifacts where report_id % 5 < 2`)
	for n := range fuzzReports / 2 {
		body := fmt.Sprintf(`{"type":"order-lines","format":"csv","params":{"country":"waits %d"}}`, max(n, 1))
		id := f.askFor(body, "Authorization", f.keys["all"])
		if n == 0 { // the next one asks for the same, so that this one's job cannot run again
			f.do(http.MethodDelete, fmt.Sprintf("/api/reports/%d", id), "", "Authorization", f.keys["all"])
		}
	}
	f.exec(`update river_job set state = 'scheduled', scheduled_at = now() + interval '1 day' where kind = 'generate_report' and state = 'available'`)
}

func (f *fuzzRun) sendAll() {
	var next atomic.Uint64
	var sending sync.WaitGroup
	for range fuzzSenders {
		sending.Go(func() {
			w := &wire{address: strings.TrimPrefix(f.url, "http://")}
			defer w.close()
			for n := next.Add(1) - 1; n < f.requests; n = next.Add(1) - 1 {
				r := f.request(n)
				text := r.text()
				got, err := w.send(r.method, text, r.endsEarly)
				if err == nil {
					err = f.check(r, got)
				}
				if err != nil {
					f.fault(n, text, got, err)
				}
			}
		})
	}
	sending.Wait()
}

// fault reports one answer that should not have been, with all that it takes to send its request again.
func (f *fuzzRun) fault(n uint64, text string, got answer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.faults++; f.faults <= shownFaults {
		f.t.Errorf("seed %d, request %d: %v\n%.1500q\nwas answered %d %v\n%.2000s", f.seed, n, err, text, got.status, got.header, got.body)
	}
}

// check says what is wrong with an answer.
func (f *fuzzRun) check(r fuzzRequest, got answer) error {
	for _, secret := range f.secrets {
		if strings.Contains(got.body, secret) {
			return fmt.Errorf("the answer tells an API key")
		}
	}
	var op *operation
	name, path := "no route", ""
	if u, err := url.ParseRequestURI(r.target); err == nil && !r.notHTTP {
		path = u.EscapedPath()
		var known bool
		if op, known = f.spec.find(r.method, path); op != nil {
			name = op.id
		} else if known {
			name = "no method"
		}
	}
	switch {
	case unlisted[path]:
		name = path
	case pagePaths.MatchString(path):
		name = "page"
	}
	f.count(name, got.status)
	switch {
	case got.status >= 500:
		return fmt.Errorf("a server error")
	case unlisted[path]:
		return checkUnlisted(got)
	case name == "page":
		return checkPage(r.method, got)
	case op == nil && got.status < 400:
		return fmt.Errorf("what leads nowhere was answered")
	case op != nil && got.status < 400 && !f.mayPass(r.caller, op):
		return fmt.Errorf("key %s has no scope %s", r.caller, op.scope)
	case op == nil, r.notHTTP, got.status == 499 && r.endsEarly: // whoever ends early has left
		return f.spec.checkAnswer(nil, got, r.method == http.MethodHead)
	}
	if err := f.spec.checkAnswer(op, got, r.method == http.MethodHead); err != nil {
		return err
	}
	if r.fits && (got.status == http.StatusBadRequest || got.status == http.StatusRequestEntityTooLarge || got.status == http.StatusUnsupportedMediaType) {
		return fmt.Errorf("a request that the document allows was refused")
	}
	if got.status < 300 {
		if err := op.checkTaken(r.body); err != nil {
			return err
		}
	}
	return f.remember(r, path, got)
}

// unlisted are routes for machines that the document does not list.
var unlisted = map[string]bool{"/livez": true, "/readyz": true, "/api/openapi.json": true}

func checkUnlisted(got answer) error {
	if got.status != http.StatusOK && got.header.Get("Content-Type") != problemMedia {
		return fmt.Errorf("not a problem")
	}
	return nil
}

func (f *fuzzRun) mayPass(caller string, op *operation) bool {
	return caller == "all" || caller == op.scope
}

func (f *fuzzRun) count(name string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[name] == nil {
		f.seen[name] = map[int]int{}
	}
	f.seen[name][status]++
}

// remember checks that an idempotency key has one answer only, and notes the jobs that were cancelled.
func (f *fuzzRun) remember(r fuzzRequest, path string, got answer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.op.id == "cancelJob" && got.status == http.StatusOK {
		f.ended[strings.TrimSuffix(path, "/cancel")] = true
	}
	if got.status != http.StatusAccepted {
		return nil
	}
	if r.key == "" {
		return nil
	}
	if got.header.Get("Idempotency-Replayed") != "" {
		f.replays++
	}
	of := r.caller + " " + path + " " + r.key
	reply := got.header.Get("Location") + " " + got.body
	if earlier, ok := f.replies[of]; ok && earlier != reply {
		return fmt.Errorf("idempotency key %q was answered before with %s", r.key, earlier)
	}
	f.replies[of] = reply
	return nil
}
