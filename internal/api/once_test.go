package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

func TestThousandRequestsWithHundredKeysPlaceHundredOrders(t *testing.T) {
	t.Parallel()
	const requests, keys = 1000, 100
	s := newShop(t)
	var (
		sending  sync.WaitGroup
		mu       sync.Mutex
		answers  = map[string]map[string]bool{} // by key: what was answered
		inFlight int
	)
	for n := range requests {
		sending.Go(func() {
			key := fmt.Sprintf("key-%d", n%keys)
			body := fmt.Sprintf(`{"customer":"C-%d","lines":[{"sku":"TIN","quantity":1,"unit_price":"3.2"}]}`, n%keys)
			for {
				got, err := s.try(http.MethodPost, "/api/orders", body, "Idempotency-Key", key)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				switch got.status {
				case http.StatusAccepted:
					if answers[key] == nil {
						answers[key] = map[string]bool{}
					}
					answers[key][got.header.Get("Location")+got.body] = true
				case http.StatusConflict:
					inFlight++
					if got.header.Get("Retry-After") == "" {
						t.Errorf("409 without Retry-After: %s", got.body)
					}
				default:
					t.Errorf("status = %d: %s", got.status, got.body)
				}
				mu.Unlock()
				if got.status != http.StatusConflict || got.header.Get("Retry-After") == "" {
					return
				}
			}
		})
	}
	sending.Wait()
	t.Logf("%d answers were 409", inFlight)
	for key, distinct := range answers {
		if len(distinct) != 1 {
			t.Errorf("%s was answered in %d ways", key, len(distinct))
		}
	}
	for what, sql := range map[string]string{
		"orders":         `select count(*) from orders`,
		"jobs":           `select count(*) from river_job where kind = 'process_order'`,
		"orders of jobs": `select count(distinct args ->> 'order_id') from river_job`,
		"kept answers":   `select count(*) from idempotency_keys`,
	} {
		if n := one[int](s, sql); n != keys {
			t.Errorf("%d %s, want %d", n, what, keys)
		}
	}
}

func TestRepeatedRequestIsAnsweredAsTheFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for path, body := range map[string]string{
		"/api/orders":       sale,
		"/api/orders/batch": `{"orders":[` + sale + `,` + sale + `]}`,
		"/api/jobs":         `{"kind":"reconcile_orders"}`,
	} {
		first := s.post(path, body, "Idempotency-Key", "one key for all routes")
		second := s.post(path, body, "Idempotency-Key", "one key for all routes")
		if first.status != http.StatusAccepted || second.status != first.status || second.body != first.body || second.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("%s answers\n%+v\nand then\n%+v", path, first, second)
		}
		if first.header.Get("Idempotency-Replayed") != "" || second.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: Idempotency-Replayed = %q, then %q", path, first.header.Get("Idempotency-Replayed"), second.header.Get("Idempotency-Replayed"))
		}
		other := s.refused(s.post(path, body+" ", "Idempotency-Key", "one key for all routes"), 422, "header.Idempotency-Key", "another body")
		if other.Type != "urn:backoffice:problem:idempotency-key-reused" {
			t.Errorf("type = %q", other.Type)
		}
	}
	if got := one[string](s, `select (select count(*) from orders) || ' orders, ' || count(*) || ' jobs' from river_job`); got != "3 orders, 4 jobs" {
		t.Errorf("stored %s, want 3 orders, 4 jobs", got)
	}
	s.refused(s.post("/api/orders", sale, "Idempotency-Key", ""), 422, "header.Idempotency-Key")
	s.refused(s.post("/api/orders", sale, "Idempotency-Key", "é"), 422, "header.Idempotency-Key")
	s.refused(s.post("/api/orders", sale, "Idempotency-Key", fmt.Sprintf("%0256d", 1)), 422, "header.Idempotency-Key")
}

func TestRefusedRequestLeavesItsKeyUnused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.refused(s.post("/api/orders", `{"lines":[{"sku":"A","quantity":0,"unit_price":"1"}]}`, "Idempotency-Key", "k"), 422, "body.lines[0].quantity")
	if got := s.post("/api/orders", sale, "Idempotency-Key", "k"); got.status != http.StatusAccepted {
		t.Errorf("the corrected request: %+v", got)
	}
}

func TestRequestAtWorkTurnsItsTwinAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context()) //nolint:errcheck // committed below
	if _, err := tx.Exec(t.Context(), `insert into orders (number) values ('7')`); err != nil {
		t.Fatal(err) // whoever wants this number waits for us
	}
	body := `{"number":"7","lines":[{"sku":"A","quantity":1,"unit_price":"1"}]}`
	first := make(chan answer, 1)
	go func() {
		got, err := s.try(http.MethodPost, "/api/orders", body, "Idempotency-Key", "k")
		if err != nil {
			t.Error(err)
		}
		first <- got
	}()
	pgtest.Eventually(t, "the first request waits", func() (bool, error) {
		return one[bool](s, `select exists (select from pg_locks where not granted)`), nil
	})
	twin := s.post("/api/orders", body, "Idempotency-Key", "k")
	s.refused(twin, http.StatusConflict, "header.Idempotency-Key", "at work")
	if twin.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q", twin.header.Get("Retry-After"))
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-first; got.status != http.StatusAccepted {
		t.Errorf("the first request: %+v", got)
	}
	if again := s.post("/api/orders", body, "Idempotency-Key", "k"); again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the twin once more: %+v", again)
	}
}

func TestKeysOfTwoCallersAreTwoKeys(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a, b := s.key("a", api.ScopeEnqueue), s.key("b", api.ScopeEnqueue)
	for _, caller := range [][]string{a, b, a} {
		if got := s.post("/api/orders", sale, append(caller, "Idempotency-Key", "k")...); got.status != http.StatusAccepted {
			t.Fatalf("%+v", got)
		}
	}
	if n := one[int](s, `select count(*) from orders`); n != 2 {
		t.Errorf("%d orders, want one of each caller", n)
	}
}
