package api_test

import (
	"net/http"
	"strings"
	"testing"

	"backoffice/internal/api"
)

func TestWhatNoRouteIsAskedAboutIsAProblemToo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	address, stop := serve(t, s.api(), api.DefaultLimits)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		request string
		status  int
		words   string
	}{
		"no HTTP at all":            {"hello\r\n\r\n", http.StatusBadRequest, "not HTTP"},
		"a path of control bytes":   {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusBadRequest, "not HTTP"},
		"no Host":                   {"GET /api/orders HTTP/1.1\r\n\r\n", http.StatusBadRequest, "Host"},
		"a header with a NUL":       {"GET /api/orders HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", http.StatusBadRequest, "not HTTP"},
		"two lengths":               {"POST /api/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", http.StatusBadRequest, "not HTTP"},
		"an unknown transfer":       {"POST /api/orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", http.StatusNotImplemented, "not HTTP"},
		"another version":           {"GET /api/orders HTTP/3.0\r\nHost: a\r\n\r\n", http.StatusHTTPVersionNotSupported, "unsupported protocol version"},
		"headers that are too long": {"GET /api/orders HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge, "32768 bytes"},
		"an expectation":            {"GET /api/orders HTTP/1.1\r\nHost: a\r\nExpect: much\r\n\r\n", http.StatusExpectationFailed, "100-continue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &wire{address: address}
			defer w.close()
			got, err := w.send(http.MethodGet, tc.request, false)
			if err != nil {
				t.Fatal(err)
			}
			(&shop{t: t}).refused(got, tc.status, "", tc.words)
		})
	}
}
