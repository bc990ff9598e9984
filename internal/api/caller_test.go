package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

// closed makes a service that always asks for a key, as behind an address that others can reach.
func closed(cfg *api.Config) { cfg.Open = false }

func TestEachRouteAsksForItsScope(t *testing.T) {
	t.Parallel()
	s := newShop(t, closed)
	keys := map[api.Scope][]string{}
	for _, scope := range api.Scopes() {
		keys[scope] = s.key(string(scope), scope)
	}
	for _, tc := range []struct {
		method, path, body string
		scope              api.Scope
	}{
		{"POST", "/api/orders", sale, api.ScopeEnqueue},
		{"POST", "/api/orders/batch", `{"orders":[` + sale + `]}`, api.ScopeEnqueue},
		{"POST", "/api/jobs", `{"kind":"reconcile_orders"}`, api.ScopeEnqueue},
		{"GET", "/api/orders", "", api.ScopeRead},
		{"GET", "/api/orders/1", "", api.ScopeRead},
		{"GET", "/api/jobs", "", api.ScopeRead},
		{"GET", "/api/jobs/1", "", api.ScopeRead},
		{"GET", "/api/queues", "", api.ScopeRead},
		{"GET", "/api/kinds", "", api.ScopeRead},
		{"GET", "/api/workers", "", api.ScopeRead},
		{"POST", "/api/orders/1/cancel", "", api.ScopeOperate},
		{"POST", "/api/jobs/1/retry", "", api.ScopeOperate},
		{"POST", "/api/jobs/1/cancel", "", api.ScopeOperate},
		{"POST", "/api/queues/orders/pause", "", api.ScopeOperate},
		{"POST", "/api/queues/orders/resume", "", api.ScopeOperate},
	} {
		nobody := s.do(tc.method, tc.path, tc.body)
		s.refused(nobody, http.StatusUnauthorized, "header.Authorization")
		if !strings.HasPrefix(nobody.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("WWW-Authenticate = %q", nobody.header.Get("WWW-Authenticate"))
		}
		for scope, key := range keys {
			got := s.do(tc.method, tc.path, tc.body, key...)
			switch {
			case scope == tc.scope && (got.status == 401 || got.status == 403 || got.status >= 500):
				t.Errorf("%s %s with scope %s: %d %s", tc.method, tc.path, scope, got.status, got.body)
			case scope != tc.scope:
				s.refused(got, http.StatusForbidden, "header.Authorization", "has no scope "+string(tc.scope))
			}
		}
	}
	if n := one[int](s, `select count(*) from orders`); n != 2 {
		t.Errorf("%d orders, want the two of the key that may place them", n)
	}
	if actors := one[string](s, `select coalesce(string_agg(distinct actor || api_key_id, ','), '') from audit_log`); actors != "" && actors != "key operate3" {
		t.Errorf("audit_log names %q", actors)
	}
	for _, open := range []string{"/livez", "/readyz", "/api/openapi.json"} {
		if got := s.get(open); got.status != http.StatusOK {
			t.Errorf("%s without a key: %d", open, got.status)
		}
	}
}

func TestOperatorIsNamedInTheAuditLog(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ann := s.key("ann", api.ScopeEnqueue, api.ScopeOperate)
	placed := must[struct{ ID int64 }](s, s.post("/api/orders", sale, ann...), http.StatusAccepted)
	must[struct{}](s, s.post(fmt.Sprintf("/api/orders/%d/cancel", placed.ID), "", ann...), http.StatusOK)
	if got := one[string](s, `select concat_ws(' ', actor, api_key_id) from audit_log`); got != fmt.Sprintf("key ann %d", one[int](s, `select id from api_keys`)) {
		t.Errorf("audit_log names %q", got)
	}
}

func TestWrongKeysAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t, closed)
	key := s.key("a", api.ScopeRead)[1]
	for name, given := range map[string]string{
		"another key": "Bearer bo_" + strings.Repeat("x", 43), "half a key": key[:len(key)-5], "more than a key": key + "x", "no scheme": strings.TrimPrefix(key, "Bearer "),
		"another scheme": "Basic " + strings.TrimPrefix(key, "Bearer "), "nothing behind the scheme": "Bearer", "the digest": "Bearer " + one[string](s, `select encode(sha256, 'hex') from api_keys`),
	} {
		s.refused(s.get("/api/orders", "Authorization", given), http.StatusUnauthorized, "header.Authorization")
		if strings.Contains(s.log.String(), given) {
			t.Errorf("%s was logged", name)
		}
	}
	if got := s.get("/api/orders", "Authorization", strings.Replace(key, "Bearer", "bearer", 1)); got.status != http.StatusOK {
		t.Errorf("the scheme in small letters: %s", got.body)
	}
	if stored := one[bool](s, `select exists (select from api_keys where to_jsonb(api_keys)::text like '%' || $1 || '%')`, strings.TrimPrefix(key, "Bearer ")); stored {
		t.Error("the key itself is stored")
	}
}

func TestKeyIsTakenAtOnceAndRefusedSoonAfterItIsRevoked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if got := s.get("/api/orders"); got.status != http.StatusOK {
		t.Fatalf("before any key was made: %s", got.body)
	}
	key := s.key("a", api.ScopeRead)
	pgtest.Eventually(t, "the new key is taken", func() (bool, error) { return s.get("/api/orders", key...).status == http.StatusOK, nil })
	pgtest.Eventually(t, "nobody is served without a key any more", func() (bool, error) { return s.get("/api/orders").status == http.StatusUnauthorized, nil })
	if _, err := api.RevokeKey(t.Context(), s.pool, "a"); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "the revoked key is refused", func() (bool, error) { return s.get("/api/orders", key...).status == http.StatusUnauthorized, nil })
	s.refused(s.get("/api/orders"), http.StatusUnauthorized, "header.Authorization") // a revoked key does not open the door
}

func TestKeysAreMadeListedAndRevoked(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	secret, key, err := api.CreateKey(t.Context(), pool, "shop", []api.Scope{api.ScopeRead, api.ScopeEnqueue})
	if err != nil || len(secret) != len("bo_")+43 || key.LastFour != secret[len(secret)-4:] || !slices.Equal(key.Scopes, []string{"read", "enqueue"}) {
		t.Fatalf("CreateKey = %q, %+v, %v", secret, key, err)
	}
	for name, tc := range map[string]struct {
		name   string
		scopes []api.Scope
		want   error
	}{
		"a name in use":    {"shop", api.Scopes(), api.ErrKeyExists},
		"a name with room": {"my shop", api.Scopes(), api.ErrKeyInvalid},
		"no name":          {"", api.Scopes(), api.ErrKeyInvalid},
		"no scope":         {"b", nil, api.ErrKeyInvalid},
		"an unknown scope": {"b", []api.Scope{"admin"}, api.ErrKeyInvalid},
	} {
		if _, _, err := api.CreateKey(t.Context(), pool, tc.name, tc.scopes); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := api.RevokeKey(t.Context(), pool, "shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := api.RevokeKey(t.Context(), pool, "shop"); !errors.Is(err, api.ErrKeyNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, _, err := api.CreateKey(t.Context(), pool, "shop", api.Scopes()); err != nil {
		t.Errorf("a name whose key was revoked: %v", err)
	}
	if keys, err := api.ListKeys(t.Context(), pool); err != nil || len(keys) != 2 || keys[0].RevokedAt == nil || keys[1].RevokedAt != nil {
		t.Errorf("ListKeys = %+v, %v", keys, err)
	}
}

func TestBootstrapKeyIsInUseOnceAndReplaced(t *testing.T) {
	t.Parallel()
	s := newShop(t, closed)
	first, second := strings.Repeat("first", 8), strings.Repeat("second", 8)
	boot := func(secret string) error { return api.Bootstrap(t.Context(), s.pool, secret) }
	errs := make(chan error, 8)
	for range 8 { // replicas that start together
		go func() { errs <- boot(first) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if n := one[int](s, `select count(*) from api_keys`); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
	if got := s.get("/api/orders", "Authorization", "Bearer "+first); got.status != http.StatusOK {
		t.Errorf("the bootstrapped key: %s", got.body)
	}
	if err := boot(second); err != nil {
		t.Fatal(err)
	}
	if got := one[string](s, `select string_agg(last_four || (revoked_at is null), ',' order by id) from api_keys`); got != "irstfalse,condtrue" {
		t.Errorf("keys = %s", got)
	}
	for name, secret := range map[string]string{"too short": "secret", "with a space": strings.Repeat("a ", 20), "revoked": first} {
		if err := boot(secret); !errors.Is(err, api.ErrKeyInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
