package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProbeSaysWhetherAProcessIsReady(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
		case "/slow":
			<-r.Context().Done()
		default:
			http.Error(w, "schema is old", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if r := backoffice(t, "probe", server.URL+"/readyz"); r.code != exitOK || r.stdout != "" {
		t.Errorf("a process that is ready: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	refused(t, backoffice(t, "probe", server.URL+"/other"), exitFailed, "503", "schema is old")
	refused(t, backoffice(t, "probe", "--timeout", "50ms", server.URL+"/slow"), exitFailed, "no answer in time")
	refused(t, backoffice(t, "probe", "http://127.0.0.1:1/readyz"), exitFailed, "127.0.0.1:1", "refused")
	refused(t, backoffice(t, "probe", "localhost"), exitUsage, `"localhost" is no URL to ask`, "http://")
}
