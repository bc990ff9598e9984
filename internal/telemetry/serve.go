package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// The limits of a small server: what it serves is short, and whoever asks is near.
const (
	headerLimit  = 2 * time.Second
	requestLimit = 5 * time.Second // above readyLimit
	idleLimit    = 30 * time.Second
	stopLimit    = 3 * time.Second // above readyLimit: what was asked before the stop is answered
	headerBytes  = 16 << 10
)

// Serve serves handler on addr, such as ":8081" or "127.0.0.1:0", until ctx ends. It listens before it
// returns, and answers the address it listens on. Once every goroutine of the server has ended, done
// yields: nil after ctx has ended, which leaves open requests three seconds to finish, or why it could
// not go on; then it is closed. The caller waits for done before it ends. An address that cannot be
// listened on is an error that names --health-addr, its value and the cure.
func Serve(ctx context.Context, addr string, handler http.Handler, log *slog.Logger) (listenAddr string, done <-chan error, err error) {
	listener, err := Listen(ctx, "--health-addr", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       requestLimit,
		WriteTimeout:      requestLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() {
		ended <- serveUntil(ctx, server, listener)
		close(ended)
	}()
	return listener.Addr().String(), ended, nil
}

// serveUntil serves until ctx ends or the listener breaks.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		_ = server.Close()
		return fmt.Errorf("serve health on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		_ = server.Close() // a client that dawdles does not turn an orderly end into a failure
	}
	<-served
	return nil
}

// CheckAddr answers why nobody could listen on addr, which the flag of that name gave, on any machine.
func CheckAddr(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return listenError(flag, addr, err)
	}
	return nil
}

// Listen listens on addr, which the flag of that name gave. An address that cannot be listened on is an
// error that names flag, value and cure.
func Listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, listenError(flag, addr, err)
	}
	return listener, nil
}

// listenError says why nothing can listen on addr, and what to do.
func listenError(flag, addr string, err error) error {
	var (
		lookup  *net.DNSError
		written *net.AddrError
	)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s %q is in use by another program; stop that one or choose another port: %w", flag, addr, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s %q is for privileged programs only; choose a port above 1023: %w", flag, addr, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %q is no address of this machine; leave the host out, as in :8081: %w", flag, addr, syscall.EADDRNOTAVAIL)
	case errors.As(err, &lookup), errors.As(err, &written):
		return fmt.Errorf("%s %q is no address; write it like :8081 or 127.0.0.1:8081: %w", flag, addr, err)
	}
	return fmt.Errorf("%s %q cannot be listened on; choose another: %w", flag, addr, err)
}
