package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// StartServer makes the data directory when there is none, recovers what a killed program or server
// left, starts the server and returns when it answers. It ends with our program: by Stop, or on Linux
// even by kill -9. ErrHeld: another program runs the server of Dir. ErrNoBinaries: PostgreSQL is not
// installed. ErrOtherVersion: the data belongs to another major version.
func StartServer(ctx context.Context, opts ServerOptions) (*Server, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	opts.Dir = dir
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	if err := makeDir(dir); err != nil {
		return nil, unusable(dir, err)
	}
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &Server{options: opts, lock: lock}
	if err := s.start(ctx); err != nil {
		lock.release()
		return nil, err
	}
	return s, nil
}

// start runs while the directory is locked.
func (s *Server) start(ctx context.Context) error {
	begun := time.Now()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("start Postgres in %s: %w", s.options.Dir, err)
	}
	if err := s.furnish(ctx); err != nil {
		s.end()
		return fmt.Errorf("set up Postgres in %s: %w", s.options.Dir, err)
	}
	if err := s.lock.announce(s.URL(Database)); err != nil {
		s.end()
		return fmt.Errorf("announce Postgres in %s: %w", s.options.Dir, err)
	}
	s.options.Log.DebugContext(ctx, "embedded postgres started", "dir", s.options.Dir, "pid", s.PID(), "took", time.Since(begun))
	return nil
}

// prepare finds programs and account, makes the data when there is none and clears what a killed
// program or server left.
func (s *Server) prepare(ctx context.Context) (err error) {
	dir := s.options.Dir
	if s.account, err = serverAccount(dir); err != nil {
		return err
	}
	if err := s.account.mayEnter(dir); err != nil {
		return err
	}
	major, err := dataVersion(dir)
	if err != nil {
		return err
	}
	if s.binaries, err = findBinaries(ctx, s.options.BinDir, major); err != nil {
		return err
	}
	if err := ensureData(ctx, dir, major, s.binaries, s.account, s.options.Durable); err != nil {
		return err
	}
	s.sock = socketDir(dir, s.account)
	if err := s.account.own(s.sock); err != nil {
		return fmt.Errorf("make directory for the socket: %w", err)
	}
	return s.recoverData(ctx)
}

// launch starts the server and waits until it answers. Children of a killed server may hold its shared
// memory for a moment more: it is tried again until they are gone.
func (s *Server) launch(ctx context.Context) error {
	giveUp := time.Now().Add(30 * time.Second)
	for {
		err := s.launchOnce(ctx)
		if err == nil || !strings.Contains(err.Error(), "shared memory block") || time.Now().After(giveUp) {
			return err
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return err
		}
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	log, err := openLog(s.LogFile())
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own handle
	cmd := exec.Command(s.binaries.path("postgres"), s.arguments()...)
	cmd.Dir = s.data()
	cmd.Stdout, cmd.Stderr = log.File, log.File
	if s.process, err = startProcess(cmd, s.account); err != nil {
		return err
	}
	return s.awaitAnswer(ctx, log)
}

// reachLimit bounds how long a server may live without being reachable at all. One that recovers can
// be reached, says so, and may take as long as it needs.
const reachLimit = time.Minute

func (s *Server) awaitAnswer(ctx context.Context, log *serverLog) error {
	reached := time.Now()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := s.ping(ctx)
		var refusal *pgconn.PgError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refusal) && refusal.Code == "57P03": // cannot_connect_now: starting or recovering
			reached = time.Now()
		case refusal != nil, time.Since(reached) > reachLimit:
			s.end()
			return fmt.Errorf("it runs but cannot be used: %w; its log is %s", err, s.LogFile())
		}
		select {
		case <-s.process.done:
			return log.whyEnded(s.options.Port)
		case <-ctx.Done():
			s.end()
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (s *Server) arguments() []string {
	settings := []string{
		"listen_addresses=", // no port unless asked for: nobody else to keep out, nothing to collide with
		"port=" + strconv.Itoa(s.port()),
		`unix_socket_directories="` + strings.ReplaceAll(s.sock, `"`, `""`) + `"`, // quoted: it is a list
		"unix_socket_permissions=0700",
		"max_connections=" + strconv.Itoa(cmp.Or(s.options.MaxConnections, 200)),
		"cluster_name=backoffice",
		"timezone=UTC", "log_timezone=UTC",
		"logging_collector=off", "log_destination=stderr",
	}
	if s.options.Port != 0 {
		settings[0] = "listen_addresses=127.0.0.1"
	}
	if !s.options.Durable {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
			"autovacuum=off") // lives for seconds; statistics that change under a test would change its plans
	}
	args := []string{"-D", s.data()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}
