// Package telemetry answers for a process to whoever watches it from outside: whether it lives and
// whether it is ready. What makes it so is decided by its parts and passed in as functions; no query,
// no setting and no rule of the business lives here.
package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// readyLimit bounds one answer of /readyz. Whoever asks has a limit of its own, of a few seconds.
const readyLimit = 2 * time.Second

// Health answers GET /livez and GET /readyz: 200 with "ok", or 503 with one line that says what is
// wrong. A request that wants application/json gets {"ok":true} or {"ok":false,"reason":"..."}. The
// functions are set before it is used and not changed afterwards.
type Health struct {
	// Live is nil while the process is of use. An error means that it should be restarted; a database
	// that cannot be reached is no reason. It must answer at once.
	Live func() error
	// Ready is nil while the process can do its work. Its context ends after two seconds, which it must
	// heed. It is called for one request at a time: probes, however many, cost one connection.
	Ready func(context.Context) error

	begin sync.Once
	turn  chan struct{} // holds whose turn it is to ask Ready
}

// ServeHTTP implements http.Handler.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var check func(context.Context) error
	switch r.URL.Path {
	case "/livez":
		check = func(context.Context) error { return h.Live() }
	case "/readyz":
		check = h.ready
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	answer(w, r, check(r.Context()))
}

// ready asks Ready, within the limit, once nobody else does.
func (h *Health) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	h.begin.Do(func() { h.turn = make(chan struct{}, 1) })
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return fmt.Errorf("not known within %s: earlier requests still wait for their answer", readyLimit)
	}
	err := h.Ready(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not known within %s: %w", readyLimit, err)
	}
	return err
}

// answer writes what was found.
func answer(w http.ResponseWriter, r *http.Request, found error) {
	verdict := struct {
		OK     bool   `json:"ok"`
		Reason string `json:"reason,omitempty"`
	}{OK: found == nil}
	code, text := http.StatusOK, "ok"
	if found != nil {
		code, text = http.StatusServiceUnavailable, strings.Join(strings.Fields(found.Error()), " ")
		verdict.Reason = text
	}
	body, mediaType := []byte(text), "text/plain; charset=utf-8"
	if wantsJSON(r.Header.Values("Accept")) {
		body, _ = json.Marshal(verdict) // a bool and a string: it cannot fail
		mediaType = "application/json"
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // who asked and left need not be told
}

// wantsJSON tells whether JSON is the first of what an Accept header wants most. Without such a header,
// and where anything will do, text it is.
func wantsJSON(accept []string) bool {
	most, isJSON := 0.0, false
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, params, err := mime.ParseMediaType(entry)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, given := params["q"]; given {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch mediaType {
		case "application/json", "application/*", "text/plain", "text/*", "*/*":
			if quality > most {
				most, isJSON = quality, strings.HasPrefix(mediaType, "application/")
			}
		}
	}
	return isJSON
}
