package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"backoffice/internal/telemetry"
)

func healthy() error                     { return nil }
func healthyNow(_ context.Context) error { return nil }

// ask sends one request and answers status code, media type and body.
func ask(t *testing.T, method, url, accept string) (int, string, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(body)
}

func TestHealthAnswersInOneLine(t *testing.T) {
	t.Parallel()
	const text, asJSON = "text/plain; charset=utf-8", "application/json"
	sick := errors.New("heartbeat of worker-1 is 12s old:\n\tconnection refused")
	for _, tc := range []struct {
		name, method, path, accept string
		live, ready                error
		code                       int
		mediaType, body            string
	}{
		{"a live process", "GET", "/livez", "", nil, sick, 200, text, "ok\n"},
		{"a process that is not live", "GET", "/livez", "", sick, nil, 503, text, "heartbeat of worker-1 is 12s old: connection refused\n"},
		{"a ready process", "GET", "/readyz", "", sick, nil, 200, text, "ok\n"},
		{"a process that is not ready", "GET", "/readyz", "", nil, sick, 503, text, "heartbeat of worker-1 is 12s old: connection refused\n"},
		{"as JSON", "GET", "/readyz", "application/json", nil, nil, 200, asJSON, `{"ok":true}` + "\n"},
		{"not ready as JSON", "GET", "/readyz", "application/json", nil, sick, 503, asJSON, `{"ok":false,"reason":"heartbeat of worker-1 is 12s old: connection refused"}` + "\n"},
		{"JSON before anything else", "GET", "/livez", "application/json, text/plain, */*", nil, nil, 200, asJSON, `{"ok":true}` + "\n"},
		{"text before JSON", "GET", "/livez", "text/plain, application/json", nil, nil, 200, text, "ok\n"},
		{"JSON wanted less", "GET", "/livez", "application/json;q=0.5, text/*", nil, nil, 200, text, "ok\n"},
		{"JSON refused", "GET", "/livez", "application/json;q=0", nil, nil, 200, text, "ok\n"},
		{"anything", "GET", "/livez", "*/*", nil, nil, 200, text, "ok\n"},
		{"a header that cannot be read", "GET", "/livez", ";;, application/json;q=much", nil, nil, 200, text, "ok\n"},
		{"HEAD", "HEAD", "/readyz", "", nil, sick, 503, text, ""},
		{"another method", "POST", "/livez", "", nil, nil, 405, text, "use GET\n"},
		{"another path", "GET", "/", "", nil, nil, 404, text, "404 page not found\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(&telemetry.Health{
				Live:  func() error { return tc.live },
				Ready: func(context.Context) error { return tc.ready },
			})
			defer server.Close()
			code, mediaType, body := ask(t, tc.method, server.URL+tc.path, tc.accept)
			if code != tc.code || mediaType != tc.mediaType || body != tc.body {
				t.Errorf("answer = %d %q %q, want %d %q %q", code, mediaType, body, tc.code, tc.mediaType, tc.body)
			}
		})
	}
}

func TestReadyThatHangsIsAnsweredForInTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&telemetry.Health{Live: healthy, Ready: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	defer server.Close()
	var all sync.WaitGroup
	for range 3 { // the second and the third wait for their turn, which does not come
		all.Go(func() {
			code, _, body := ask(t, "GET", server.URL+"/readyz", "")
			if code != 503 || !strings.HasPrefix(body, "not known within 2s: ") {
				t.Errorf("answer = %d %q, want 503 and the limit", code, body)
			}
		})
	}
	if code, _, _ := ask(t, "GET", server.URL+"/livez", ""); code != 200 {
		t.Errorf("/livez waits for /readyz: %d", code)
	}
	all.Wait()
}

func TestReadyIsAskedForOneRequestAtATime(t *testing.T) {
	t.Parallel()
	var inside, calls atomic.Int32
	server := httptest.NewServer(&telemetry.Health{Live: healthy, Ready: func(context.Context) error {
		defer inside.Add(-1)
		calls.Add(1)
		if inside.Add(1) > 1 {
			return errors.New("two at once")
		}
		return nil
	}})
	defer server.Close()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if code, _, body := ask(t, "GET", server.URL+"/readyz", ""); code != 200 {
				t.Errorf("answer = %d %q", code, body)
			}
		})
	}
	all.Wait()
	if calls.Load() != 50 {
		t.Errorf("Ready was asked %d times, want once per request", calls.Load())
	}
}
