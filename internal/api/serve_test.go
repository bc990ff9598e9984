package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

func TestSlowBodyCostsNoneOfTheTimeToWorkOnIt(t *testing.T) {
	t.Parallel()
	const handle = 2 * time.Second
	s := newShop(t, func(cfg *api.Config) { cfg.Handle = handle })
	reader, writer := io.Pipe()
	go func() {
		_, _ = io.WriteString(writer, sale[:10])
		<-time.After(handle + handle/10) // the wire is slow: nothing else tells that the time is over
		_, _ = io.WriteString(writer, sale[10:])
		_ = writer.Close()
	}()
	response, err := http.Post(s.url+"/api/orders", "application/json", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusAccepted {
		t.Errorf("answered %d %s, %v", response.StatusCode, text, err)
	}
}

// serve runs api.Serve on a port of its own until stop is called, which answers how it ended.
func serve(t *testing.T, handler http.Handler, limits api.Limits) (addr string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &shop{log: &logs{}}
	go func() { ended <- api.Serve(ctx, listener, handler, limits, s.logger()) }()
	t.Cleanup(cancel)
	return listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

// speak writes to a server as no client would, and answers what it said before it closed.
func speak(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("the server did not close: %v", err)
	}
	return string(got)
}

func TestSlowCallersAreCutOff(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const soon = time.Second / 4
	post := "POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for _, tc := range []struct {
		name, text string
		limits     api.Limits
		want       []string // of the answer; none: not a word
	}{
		{"half of the headers", "GET /api/orders HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", api.Limits{Header: soon, Read: time.Hour, Idle: time.Hour}, nil},
		{"half of a body", post + "Content-Length: 100\r\n\r\n{", api.Limits{Header: soon, Read: 2 * soon, Idle: time.Hour},
			[]string{"HTTP/1.1 408 ", "application/problem+json", "did not arrive in time"}},
		{"a broken body", post + "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n", api.Limits{Header: soon, Read: time.Hour, Idle: time.Hour},
			[]string{"HTTP/1.1 400 ", "broke off"}},
		{"an idle connection", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", api.Limits{Header: time.Hour, Read: time.Hour, Idle: soon}, []string{"HTTP/1.1 200 "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.limits.Handle, tc.limits.Stop = time.Minute, time.Minute
			addr, stop := serve(t, s.api(), tc.limits)
			got := speak(t, addr, tc.text)
			for _, word := range tc.want {
				if !strings.Contains(got, word) {
					t.Errorf("%q is missing in %s", word, got)
				}
			}
			if len(tc.want) == 0 && got != "" {
				t.Errorf("answered %s", got)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStopLetsOpenRequestsFinish(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	addr, stop := serve(t, s.api(), api.DefaultLimits)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(sale)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") { // it is in the hands of the handler
		t.Fatalf("%q, %v", line, err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	pgtest.Eventually(t, "it takes no more connections", func() (bool, error) {
		other, err := net.Dial("tcp", addr)
		if err == nil {
			other.Close()
		}
		return err != nil, nil
	})
	if _, err := io.WriteString(conn, sale); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(reader)
	if err != nil || !strings.Contains(string(got), "HTTP/1.1 202 ") {
		t.Errorf("the open request: %s, %v", got, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := one[int](s, `select count(*) from orders`); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}
