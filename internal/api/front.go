package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// call is what is known of a request beside what it asks.
type call struct {
	id         string // X-Request-Id, theirs or ours
	looks      bool   // GET or HEAD: it changes nothing
	caller     Caller
	bodySHA256 [32]byte
}

type callKey struct{}

// callOf answers the request that ctx belongs to.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// requestID is what we take over from a caller.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// observed names a request, answers for a panic, and writes the access log.
func (a *API) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		c := &call{id: r.Header.Get("X-Request-Id"), looks: r.Method == http.MethodGet || r.Method == http.MethodHead}
		if !requestID.MatchString(c.id) {
			var random [12]byte
			_, _ = rand.Read(random[:]) // never fails; see crypto/rand
			c.id = hex.EncodeToString(random[:])
		}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		rec := &recorder{ResponseWriter: w}
		for name, value := range everyAnswer {
			w.Header().Set(name, value)
		}
		w.Header().Set("X-Request-Id", c.id)
		defer func() {
			caught := recover()
			if caught == http.ErrAbortHandler {
				panic(caught)
			}
			if caught != nil {
				a.Log.ErrorContext(r.Context(), "request panicked", "request_id", c.id, "panic", fmt.Sprint(caught), "stack", string(debug.Stack()))
				if rec.status == 0 {
					writeProblem(rec, &huma.ErrorModel{Status: http.StatusInternalServerError,
						Detail: "something is wrong here, not with the request; the log tells more under request id " + c.id})
				}
			}
			a.logAnswer(r, rec, begun)
		}()
		next.ServeHTTP(rec, r)
	})
}

// everyAnswer carries these headers; a page sets its own policy.
var everyAnswer = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
}

// logAnswer writes the access log: no query, which may name a customer.
func (a *API) logAnswer(r *http.Request, rec *recorder, begun time.Time) {
	log := a.Log.InfoContext
	if r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
		log = a.Log.DebugContext
	}
	c := callOf(r.Context())
	log(r.Context(), "request answered", "request_id", c.id, "method", r.Method, "path", shortened(r.URL.Path), "status", rec.status,
		"bytes", rec.bytes, "took", time.Since(begun), "actor", c.caller.Actor())
}

// recorder remembers what was answered. What lies below is not reached around it.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(data)
	r.bytes += int64(n)
	return n, err
}

// SetWriteDeadline lets a download take longer than other answers; see http.ResponseController.
func (r *recorder) SetWriteDeadline(at time.Time) error {
	return http.NewResponseController(r.ResponseWriter).SetWriteDeadline(at)
}

// checked refuses what no route should have to think of: a page of another site that uses its reader's
// browser, text that Postgres cannot hold, an idempotency key that is none.
func (a *API) checked(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if crossOrigin.Check(r) != nil {
			writeProblem(w, problemAt(http.StatusForbidden, "header.Origin", "a page of another origin cannot change anything here"))
			return
		}
		if p := checkURL(r.URL); p != nil {
			writeProblem(w, p)
			return
		}
		if keys := r.Header.Values("Idempotency-Key"); len(keys) > 1 || len(keys) == 1 && keys[0] == "" {
			writeProblem(w, problemAt(http.StatusUnprocessableEntity, "header.Idempotency-Key", "Idempotency-Key is empty or given twice; send one key or none"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkURL refuses a path or query that is not text, and a parameter given twice.
func checkURL(u *url.URL) *huma.ErrorModel {
	if !isText(u.Path) {
		return problemAt(http.StatusBadRequest, "path", "the path is not valid UTF-8 text, or holds a NUL character")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return problemAt(http.StatusBadRequest, "query", "the query cannot be read; percent-encode it")
	}
	for name, values := range query {
		switch {
		case !isText(name) || slices.ContainsFunc(values, func(v string) bool { return !isText(v) }):
			return problemAt(http.StatusBadRequest, "query."+shortened(strings.ToValidUTF8(name, "?")), "the query is not valid UTF-8 text, or holds a NUL character")
		case len(values) > 1:
			return problemAt(http.StatusBadRequest, "query."+shortened(name), "query parameter %q is given twice; give it once", shortened(name))
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// direct refuses a path that is not the shortest for its place, which the mux would answer with a redirect.
func (a *API) direct(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) {
			a.serveNothing(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limited bounds the time that a request is worked on. It comes behind takeBody: how long a body takes to
// arrive is not our work, and bounded by Limits.Read.
func (a *API) limited(ctx huma.Context, next func(huma.Context)) {
	limited, cancel := context.WithTimeout(ctx.Context(), a.Handle)
	defer cancel()
	next(huma.WithContext(ctx, limited))
}

// methods are those that a route may have.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// serveNothing answers a path that is none, or a method that the path does not take.
func (a *API) serveNothing(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range methods {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != fallback && pattern != "" && r.URL.Path == path.Clean(r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		writeProblem(w, problemAt(http.StatusNotFound, "path", "there is nothing at %s; /api/openapi.json lists the routes", shortened(r.URL.Path)))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	writeProblem(w, problemAt(http.StatusMethodNotAllowed, "", "%s does not take %s, only %s", shortened(r.URL.Path), shortened(r.Method), strings.Join(allowed, ", ")))
}
