package api

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bound each phase of a request. The write limit is the sum of reading and working, and some.
type Limits struct {
	Header time.Duration // reading the headers
	Read   time.Duration // reading headers and body
	Handle time.Duration // working on it, once it was read; see Config.Handle
	Piece  time.Duration // sending one piece of a download; see Config.Piece
	Idle   time.Duration // waiting for the next request on a connection
	Stop   time.Duration // finishing open requests once a stop was asked
}

// DefaultLimits suit callers that are near.
var DefaultLimits = Limits{
	Header: 5 * time.Second, Read: 15 * time.Second, Handle: 10 * time.Second, Piece: time.Minute, Idle: 90 * time.Second, Stop: 20 * time.Second,
}

const (
	writeSpare  = 10 * time.Second // for the answer itself
	headerBytes = 32 << 10
)

// Serve serves handler on listener until ctx ends; then it takes no more connections, lets open requests
// finish within limits.Stop, and answers nil. An error means that it could not go on.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, limits Limits, log *slog.Logger) error {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: limits.Header,
		ReadTimeout:       limits.Read,
		WriteTimeout:      limits.Read + limits.Handle + writeSpare,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return working },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(problemListener{listener}) }()
	select {
	case err := <-served:
		_ = server.Close()
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(working, limits.Stop)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		log.WarnContext(ctx, "requests cut off", "after", limits.Stop)
		abandon()
		_ = server.Close() // a caller that dawdles does not turn an orderly end into a failure
	}
	<-served
	return nil
}
