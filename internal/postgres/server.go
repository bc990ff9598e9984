package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"syscall"
	"time"
)

// Role and Database exist in every embedded server after its start.
const (
	Role     = "backoffice"
	Database = "backoffice"
)

// ServerOptions says how an embedded server is run.
type ServerOptions struct {
	Dir            string       // everything of the server lies here: data, socket, lock, log; made when absent
	BinDir         string       // initdb and postgres; "": looked for in the usual places
	Port           int          // 0: unix socket only; else also this port of 127.0.0.1, with a password
	MaxConnections int          // 0: 200
	Durable        bool         // false: for data that may be lost in a crash of the machine, as in tests
	Log            *slog.Logger // nil: silent
}

// Server is a running Postgres of our own. It ends with the program that started it.
type Server struct {
	options  ServerOptions
	account  account
	binaries binaries
	sock     string // directory of the socket
	password string // of Role over TCP; "" without a port
	lock     *dirLock
	process  *process
}

// URL names a database of the server through its unix socket, which only the user who started the
// server may enter. The database "backoffice" exists.
func (s *Server) URL(database string) string { return socketURL(database, s.sock, s.port()) }

// TCPURL names a database of the server through its port, with the password; "" when it has no port.
func (s *Server) TCPURL(database string) string {
	if s.options.Port == 0 {
		return ""
	}
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", Role, s.password, s.options.Port, url.PathEscape(database))
}

// PID is the operating system's number of the server process.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// LogFile is where the server writes what happens to it.
func (s *Server) LogFile() string { return logPath(s.options.Dir) }

// Exited is closed when the server process has ended, asked or not.
func (s *Server) Exited() <-chan struct{} { return s.process.done }

// Stop ends the server, closing all its connections, and frees its directory. When ctx ends first, the
// server is stopped at once and recovers at its next start; nothing committed is lost either way.
// Stopping a server that has ended by itself, or was stopped before, is no error.
func (s *Server) Stop(ctx context.Context) error {
	s.process.signal(syscall.SIGINT) // fast shutdown
	var interrupted error
	select {
	case <-s.process.done:
	case <-ctx.Done():
		interrupted = fmt.Errorf("stop Postgres in %s: %w; ended at once, it recovers at its next start", s.options.Dir, context.Cause(ctx))
		s.end()
	}
	s.options.Log.DebugContext(ctx, "embedded postgres stopped", "dir", s.options.Dir)
	s.lock.release()
	return interrupted
}

// end stops the server without its consent.
func (s *Server) end() {
	s.process.signal(syscall.SIGQUIT) // immediate shutdown: all its processes end
	select {
	case <-s.process.done:
	case <-time.After(5 * time.Second):
		s.process.signal(syscall.SIGKILL)
		<-s.process.done
	}
}

func (s *Server) port() int {
	if s.options.Port == 0 {
		return defaultPort
	}
	return s.options.Port
}

func (s *Server) data() string { return dataDir(s.options.Dir) }

func logPath(dir string) string { return filepath.Join(dir, "server.log") }
