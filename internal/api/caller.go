package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/singleflight"
)

// Caller is who sent a request.
type Caller struct {
	KeyID  int64  // 0: without a key
	Name   string // of the key
	scopes []string
}

// Actor names the caller in logs and in audit_log.
func (c Caller) Actor() string {
	if c.KeyID == 0 {
		return "local"
	}
	return "key " + c.Name
}

// authorized lets a request pass whose caller has the scope.
func (a *API) authorized(scope Scope) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		r.Header.Set("Accept", jsonType) // there is nothing else to choose from
		caller, p, err := a.identify(r)
		switch {
		case err != nil:
			problem := a.problemOf(r.Context(), err)
			w.Header().Set("Retry-After", "1")
			writeProblem(w, asModel(problem))
			return
		case p != nil:
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="backoffice"`)
			}
			writeProblem(w, p)
			return
		}
		callOf(r.Context()).caller = caller
		if caller.KeyID != 0 && !slices.Contains(caller.scopes, string(scope)) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="backoffice", error="insufficient_scope", scope=%q`, scope))
			writeProblem(w, problemAt(http.StatusForbidden, "header.Authorization", "key %q has no scope %s; make one that has it with backoffice api-keys create", caller.Name, scope))
			return
		}
		next(ctx)
	}
}

// identify finds out who calls, or the problem with how they say it.
func (a *API) identify(r *http.Request) (Caller, *huma.ErrorModel, error) {
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		known, err := a.keys.current(r.Context(), keyFresh)
		if err != nil {
			return Caller{}, nil, err
		}
		if a.Open && !known.everMade {
			return Caller{}, checkLocal(r), nil
		}
		return Caller{}, problemAt(http.StatusUnauthorized, "header.Authorization", "an API key is needed; send it as Authorization: Bearer KEY"), nil
	}
	scheme, secret, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return Caller{}, problemAt(http.StatusUnauthorized, "header.Authorization", "Authorization is not of the form Bearer KEY"), nil
	}
	for _, age := range []time.Duration{keyFresh, 0} { // a key may have been made just now; readings do not run side by side
		known, err := a.keys.current(r.Context(), age)
		if err != nil {
			return Caller{}, nil, err
		}
		if caller, found := known.find(secret); found {
			return caller, nil, nil
		}
	}
	return Caller{}, problemAt(http.StatusUnauthorized, "header.Authorization", "the API key is unknown or was revoked"), nil
}

const (
	keyFresh = 5 * time.Second // how long a revoked key may still be taken
	loadKeys = 5 * time.Second // longest one reading may take
)

// keyring remembers the keys for a few seconds, so that a request costs no query for its key.
type keyring struct {
	pool    *pgxpool.Pool
	known   atomic.Pointer[knownKeys]
	loading singleflight.Group
}

// knownKeys are the keys as they stood at one moment.
type knownKeys struct {
	at       time.Time
	everMade bool // a key stands in the table, were it revoked
	inUse    []knownKey
}

type knownKey struct {
	sha256 [sha256.Size]byte
	caller Caller
}

func newKeyring(pool *pgxpool.Pool) *keyring { return &keyring{pool: pool} }

// current answers the keys as they stood no longer than age ago.
func (k *keyring) current(ctx context.Context, age time.Duration) (*knownKeys, error) {
	if known := k.known.Load(); known != nil && time.Since(known.at) < age {
		return known, nil
	}
	loaded := k.loading.DoChan("", func() (any, error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadKeys)
		defer cancel()
		return k.load(limited)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-loaded:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*knownKeys), nil
	}
}

const loadKeysSQL = `
select /* api.keyring */ id, name, sha256, scopes, revoked_at is null
  from api_keys
 order by id`

func (k *keyring) load(ctx context.Context) (*knownKeys, error) {
	known := &knownKeys{at: time.Now()}
	rows, err := k.pool.Query(ctx, loadKeysSQL)
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	var (
		caller Caller
		digest []byte
		inUse  bool
	)
	_, err = pgx.ForEachRow(rows, []any{&caller.KeyID, &caller.Name, &digest, &caller.scopes, &inUse}, func() error {
		known.everMade = true
		if inUse {
			known.inUse = append(known.inUse, knownKey{[sha256.Size]byte(digest), Caller{caller.KeyID, caller.Name, slices.Clone(caller.scopes)}})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	k.known.Store(known)
	return known, nil
}

// find compares with every key, in a time that tells nothing of how much of one was right.
func (k *knownKeys) find(secret string) (caller Caller, found bool) {
	digest := sha256.Sum256([]byte(secret))
	for _, key := range k.inUse {
		if subtle.ConstantTimeCompare(digest[:], key.sha256[:]) == 1 {
			caller, found = key.caller, true
		}
	}
	return caller, found
}
