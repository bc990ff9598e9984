package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"backoffice/internal/telemetry"
)

var silent = slog.New(slog.DiscardHandler)

// within fails the test where done does not yield.
func within(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the server did not end")
		return nil
	}
}

// Not parallel: it looks at every goroutine of the program.
func TestServeLeavesNothingBehind(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	addr, done, err := telemetry.Serve(ctx, "127.0.0.1:0", &telemetry.Health{Live: healthy, Ready: healthyNow}, silent)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, body := ask(t, "GET", "http://"+addr+"/readyz", ""); code != 200 || body != "ok\n" {
		t.Errorf("answer = %d %q", code, body)
	}
	stop()
	if err := within(t, done); err != nil {
		t.Errorf("done = %v, want nil", err)
	}
	if _, open := <-done; open {
		t.Error("done yields twice")
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Errorf("%s is still listened on", addr)
	}
	http.DefaultClient.CloseIdleConnections()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("telemetry.serveUntil")) || bytes.Contains(stack, []byte("net/http.(*Server).Serve")) {
			t.Errorf("a goroutine lives on:\n%s", stack)
		}
	}
}

func TestServeAnswersWhatWasAskedBeforeTheStop(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asked, answer := make(chan struct{}), make(chan struct{})
	addr, done, err := telemetry.Serve(ctx, "127.0.0.1:0", &telemetry.Health{Live: healthy, Ready: func(context.Context) error {
		close(asked)
		<-answer
		return nil
	}}, silent)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		code, _, _ := ask(t, "GET", "http://"+addr+"/readyz", "")
		answered <- code
	}()
	<-asked
	stop()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break // it listens no more: the stop has begun
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server does not stop")
		}
	}
	close(answer)
	if code := <-answered; code != 200 {
		t.Errorf("answer = %d, want 200", code)
	}
	if err := within(t, done); err != nil {
		t.Errorf("done = %v, want nil", err)
	}
}

func TestServeEndsWithAClientThatSaysNothing(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	addr, done, err := telemetry.Serve(ctx, "127.0.0.1:0", &telemetry.Health{Live: healthy, Ready: healthyNow}, silent)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stop()
	if err := within(t, done); err != nil {
		t.Errorf("done = %v, want nil", err)
	}
}

func TestServeRefusesAnAddressByName(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the cases, which run in parallel
	for _, tc := range []struct {
		name, addr string
		words      string
		cause      error
	}{
		{"a port in use", taken.Addr().String(), "is in use by another program; stop that one or choose another port", syscall.EADDRINUSE},
		{"an address of another machine", "192.0.2.1:8081", "is no address of this machine", syscall.EADDRNOTAVAIL},
		{"no port", "8081", "is no address; write it like :8081", nil},
		{"a port that is none", ":99999", "is no address; write it like :8081", nil},
		{"a port that has no such name", ":health", "is no address; write it like :8081", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, done, err := telemetry.Serve(t.Context(), tc.addr, &telemetry.Health{}, silent)
			if err == nil || done != nil {
				t.Fatalf("Serve = %v, want an error", err)
			}
			if !strings.HasPrefix(err.Error(), `--health-addr "`+tc.addr+`" `) || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("Serve = %q, want %q in it", err, tc.words)
			}
			if tc.cause != nil && !errors.Is(err, tc.cause) {
				t.Errorf("Serve = %v, want it to wrap %v", err, tc.cause)
			}
		})
	}
}
