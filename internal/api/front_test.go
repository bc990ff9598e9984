package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/api"
	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, path := range []string{"/nothing", "/api", "/api/", "/api/nothing", "/api/orders/", "/api//orders", "/api/orders/1/lines", "/api/orders/../orders", "/api/openapi.yaml", "/docs", "/%00"} {
		got := s.get(path)
		if path == "/%00" {
			s.refused(got, http.StatusBadRequest, "path")
			continue
		}
		s.refused(got, http.StatusNotFound, "path", "there is nothing at")
	}
	for method, allow := range map[string]string{"DELETE /api/orders": "GET, HEAD, POST", "PUT /api/orders/batch": "POST", "POST /api/orders/1": "GET, HEAD", "PATCH /api/openapi.json": "GET, HEAD", "OPTIONS /api/queues": "GET, HEAD", "BREW /api/jobs": "GET, HEAD, POST"} {
		verb, path, _ := strings.Cut(method, " ")
		got := s.do(verb, path, "")
		if path == "/api/orders/batch" { // which is also the path of an order that has no number
			allow = "GET, HEAD, POST"
		}
		s.refused(got, http.StatusMethodNotAllowed, "", "does not take "+verb)
		if got.header.Get("Allow") != allow {
			t.Errorf("%s: Allow = %q, want %q", method, got.header.Get("Allow"), allow)
		}
	}
}

func TestBodyOfAnotherTypeSizeOrEncodingIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	padded := func(n int) string { return sale + strings.Repeat(" ", n-len(sale)) }
	for name, tc := range map[string]struct {
		path, body string
		headers    []string
		status     int
		at         string
	}{
		"the largest body":        {"/api/orders", padded(64 << 10), nil, http.StatusAccepted, ""},
		"one byte more":           {"/api/orders", padded(64<<10 + 1), nil, http.StatusRequestEntityTooLarge, "body"},
		"much more":               {"/api/jobs", strings.Repeat(" ", 5<<20), nil, http.StatusRequestEntityTooLarge, "body"},
		"a batch may be larger":   {"/api/orders/batch", `{"orders":[` + padded(65<<10) + `]}`, nil, http.StatusAccepted, ""},
		"but not by any":          {"/api/orders/batch", `{"orders":[` + padded(1<<20) + `]}`, nil, http.StatusRequestEntityTooLarge, "body"},
		"a form":                  {"/api/orders", "lines=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType, "header.Content-Type"},
		"no type":                 {"/api/orders", sale, []string{"Content-Type", ""}, http.StatusUnsupportedMediaType, "header.Content-Type"},
		"a type that is none":     {"/api/orders", sale, []string{"Content-Type", "json;;;"}, http.StatusUnsupportedMediaType, "header.Content-Type"},
		"JSON of another sort":    {"/api/orders", sale, []string{"Content-Type", "application/problem+json"}, http.StatusUnsupportedMediaType, "header.Content-Type"},
		"another charset":         {"/api/orders", sale, []string{"Content-Type", "application/json; charset=utf-16"}, http.StatusUnsupportedMediaType, "header.Content-Type"},
		"the charset of all JSON": {"/api/orders", sale, []string{"Content-Type", "application/json; charset=UTF-8"}, http.StatusAccepted, ""},
		"packed":                  {"/api/orders", sale, []string{"Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType, "header.Content-Encoding"},
		"an Accept of images":     {"/api/orders", sale, []string{"Accept", "image/png"}, http.StatusAccepted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.post(tc.path, tc.body, tc.headers...)
			if tc.status != http.StatusAccepted {
				s.refused(got, tc.status, tc.at)
			} else if got.status != tc.status || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("answered %d %s: %s", got.status, got.header.Get("Content-Type"), got.body)
			}
		})
	}
}

func TestAnotherSiteAndAnotherNameAreTurnedAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.refused(s.post("/api/queues/orders/pause", "", "Origin", "https://shop.example"), http.StatusForbidden, "header.Origin")
	s.refused(s.post("/api/orders", sale, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden, "header.Origin")
}

func TestOnlyThisMachineNeedsNoKey(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	service := s.api()
	request := func(host string, headers ...string) answer {
		r := httptest.NewRequest(http.MethodGet, "/api/orders", nil)
		r.Host = host
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	for _, host := range []string{"localhost:8080", "127.0.0.1", "[::1]:8080", "127.8.8.8:1"} {
		if got := request(host); got.status != http.StatusOK {
			t.Errorf("as %s: %s", host, got.body)
		}
	}
	for _, host := range []string{"shop.example", "localhost.shop.example", "10.0.0.1:8080", ""} { // the first may point to 127.0.0.1
		s.refused(request(host), http.StatusForbidden, "header.Host", "api-keys create")
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "Cf-Connecting-Ip", "X-Real-Ip"} {
		for _, value := range []string{"203.0.113.7", ""} {
			s.refused(request("127.0.0.1", name, value), http.StatusForbidden, "header."+name, "proxy")
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "shop.example"
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || w.Header().Get("WWW-Authenticate") != "" || !strings.Contains(w.Body.String(), "api-keys create") {
		t.Errorf("the page as shop.example: %d %v", w.Code, w.Header())
	}
	key := s.key("shop", api.ScopeRead)
	if got := request("shop.example", append(key, "X-Forwarded-For", "203.0.113.7")...); got.status != http.StatusOK {
		t.Errorf("with a key, through a proxy: %s", got.body)
	}
}

func TestEveryAnswerIsNamedGuardedAndLogged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.get("/api/orders?customer=17850", "X-Request-Id", "call-7")
	for name, want := range map[string]string{"X-Request-Id": "call-7", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
		if got.header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, got.header.Get(name), want)
		}
	}
	logged := s.log.String()
	for _, fact := range []string{`"msg":"request answered"`, `"request_id":"call-7"`, `"path":"/api/orders"`, `"status":200`, `"actor":"local"`} {
		if !strings.Contains(logged, fact) {
			t.Errorf("%s is missing in %s", fact, logged)
		}
	}
	if strings.Contains(logged, "17850") {
		t.Errorf("a customer stands in the log: %s", logged)
	}
	for _, forged := range []string{"a b", strings.Repeat("x", 129), `"},{"`} {
		if id := s.get("/api/orders", "X-Request-Id", forged).header.Get("X-Request-Id"); id == forged || len(id) != 24 {
			t.Errorf("request id = %q", id)
		}
	}
}

func TestPanicIsAProblemAndTheServiceGoesOn(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(cfg *api.Config) { cfg.Now = func() time.Time { panic("no clock") } })
	id := s.place(sale)
	p := s.refused(s.post(fmt.Sprintf("/api/orders/%d/cancel", id), "", "X-Request-Id", "call-8"), http.StatusInternalServerError, "", "call-8")
	if strings.Contains(p.Detail, "no clock") {
		t.Errorf("the caller was told %q", p.Detail)
	}
	if logged := s.log.String(); !strings.Contains(logged, "no clock") || !strings.Contains(logged, "call-8") {
		t.Errorf("logged: %s", logged)
	}
	if got := one[string](s, `select status from orders`); got != "placed" {
		t.Errorf("the order is %s", got)
	}
	if got := s.get("/api/orders"); got.status != http.StatusOK {
		t.Errorf("the next request: %s", got.body)
	}
}

func TestRequestThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(cfg *api.Config) { cfg.Handle = time.Second / 2 })
	id := s.place(sale)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // nothing to keep
	if _, err := tx.Exec(t.Context(), `select from orders for update`); err != nil {
		t.Fatal(err)
	}
	got := s.post(fmt.Sprintf("/api/orders/%d/cancel", id), "")
	s.refused(got, http.StatusServiceUnavailable, "", "took too long")
	if got.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

func TestDatabaseThatIsGoneIs503(t *testing.T) {
	t.Parallel()
	s := newShop(t, closed)
	key := s.key("all", api.Scopes()...)
	if got := s.get("/api/orders", key...); got.status != http.StatusOK {
		t.Fatalf("before: %s", got.body)
	}
	name := one[string](s, `select current_database()`)
	outside, err := pgx.Connect(t.Context(), pgtest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close(context.Background()) //nolint:errcheck // nothing depends on it
	for _, sql := range []string{
		`alter database ` + pgx.Identifier{name}.Sanitize() + ` with allow_connections false`,
		`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '` + name + `'`,
	} {
		if _, err := outside.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.get("/api/orders", key...); strings.Contains(got.body, "Idempotency-Key") {
		t.Errorf("a request that changes nothing is told %s", got.body)
	}
	for _, got := range []answer{s.get("/api/orders", key...), s.post("/api/orders", sale, key...), s.get("/api/orders", "Authorization", "Bearer unknown")} {
		s.refused(got, http.StatusServiceUnavailable, "")
		if got.header.Get("Retry-After") == "" {
			t.Errorf("503 without Retry-After: %s", got.body)
		}
	}
}

func TestErrorsOfTheDomainHaveTheirStatus(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]int{
		order.ErrNotFound: 404, order.ErrInvalid: 422, order.ErrDuplicate: 409, order.ErrTooLate: 409, order.ErrBusy: 503,
		queue.ErrNotFound: 404, queue.ErrInvalid: 422, queue.ErrTooLate: 409, context.DeadlineExceeded: 503, errors.New("anything else"): 500,
	} {
		if got := api.StatusOf(t.Context(), fmt.Errorf("wrapped: %w", cause)); got != want {
			t.Errorf("%v is %d, want %d", cause, got, want)
		}
	}
}

func TestReadyTellsStrangersNoMoreThanTheCause(t *testing.T) {
	t.Parallel()
	var cause error
	s := newShop(t, func(cfg *api.Config) { cfg.Ready = func(context.Context) error { return cause } })
	for cause = range map[error]bool{
		errors.New("failed to connect to user=shop database=secret: /run/pg/.s.PGSQL.5432"): true,
		fmt.Errorf("%w: 3 steps behind in secret", api.ErrSchema):                           true,
		fmt.Errorf("%w: secret", api.ErrReadOnly):                                           true, api.ErrStopping: true,
	} {
		got := s.get("/readyz")
		if got.status != http.StatusServiceUnavailable || strings.Contains(got.body, "secret") || strings.Contains(got.body, "/run/pg") {
			t.Errorf("of %q strangers are told %d %s", cause, got.status, got.body)
		}
		if !strings.Contains(s.log.String(), cause.Error()) {
			t.Errorf("%q is not logged", cause)
		}
	}
}
