package api_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"backoffice/internal/api"
)

func TestFaultsOfABodyAreFoundOneByOneAndOnlyTheFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	list := func(item string, n int) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	for _, tc := range []struct {
		name, body string
		status     int
		at         string
		words      []string
	}{
		{"no lines, then a wrong line", `{"orders":[{},{"lines":[{"sku":1,"quantity":1,"unit_price":"1"}]}]}`, 422, "body.orders[1].lines[0].sku", []string{"body.orders[0]", "lines to be present"}},
		{"a list that is none", `{"orders":[{"lines":{}}]}`, 422, "body.orders[0].lines", []string{"expected array"}},
		{"a wrong member beside lists", `{"colour":1,"orders":[` + sale + `]}`, 422, "body.colour", nil},
		{"more members than anything has", `{"a":1` + members(200) + `}`, 422, "body", []string{"202 members"}},
		{"more lines than a batch may have", `{"orders":[` + list(`{"lines":[`+list(`{"sku":"A","quantity":1,"unit_price":"1"}`, 6700)+`]}`, 3) + `]}`, 422, "body.orders", []string{"20100 lines", "at most 20000"}},
		{"more items than a batch may have", `{"orders":[` + list(`{}`, 21001) + `]}`, 400, "body.orders", []string{"21000 items"}},
	} {
		t.Run(tc.name, func(t *testing.T) { s.refused(s.post("/api/orders/batch", tc.body), tc.status, tc.at, tc.words...) })
	}
	if n := one[int](s, `select count(*) from orders`); n != 0 {
		t.Errorf("%d orders are stored", n)
	}
}

// members are n more of an object, and one.
func members(n int) string {
	var text strings.Builder
	for i := range n + 1 {
		text.WriteString(`,"m` + strings.Repeat("x", i) + `":1`)
	}
	return text.String()
}

// Not in parallel: it measures what the whole process allocates.
func TestWrongBatchCostsLittleMoreThanARightOne(t *testing.T) {
	s := newShop(t)
	service := s.api()
	cost := func(line string) float64 {
		body := `{"orders":[` + strings.TrimSuffix(strings.Repeat(`{"lines":[`+strings.TrimSuffix(strings.Repeat(line+",", 1000), ",")+`]},`, 15), ",") + `]}`
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := httptest.NewRequest(http.MethodPost, "http://localhost/api/orders/batch", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		s.refused(answer{w.Code, w.Header(), w.Body.String()}, http.StatusUnprocessableEntity, "body.orders[0].lines[0]", "(and more)")
		return float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
	}
	if times := cost(`{"sku":1,"q":1,"unit":"1"}`); times > 100 {
		t.Errorf("a batch of wrong lines allocates %.0f times its size", times)
	}
}

func TestBodiesShareTheirMemory(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	service := s.api()
	post := func() answer {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/api/orders", strings.NewReader(sale))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	for range 3 { // what a body took it gives back
		if got := post(); got.status != http.StatusAccepted {
			t.Fatalf("answered %d: %s", got.status, got.body)
		}
	}
	if !service.HoldBodies(api.MaxBodies - int64(len(sale)) + 1) {
		t.Fatal("bodies that were worked off still count")
	}
	got := post()
	s.refused(got, http.StatusServiceUnavailable, "", "repeat the request later")
	if got.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}
