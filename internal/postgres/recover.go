package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// recoverData clears what a killed program or server left. The directory is locked, so no program
// lives that would run this server: a server that answers is an orphan and is stopped; the lock file
// of one that does not is stale.
func (s *Server) recoverData(ctx context.Context) error {
	pidFile := filepath.Join(s.data(), "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case answers(socketOf(string(text))):
		s.options.Log.WarnContext(ctx, "orphaned postgres stopped", "dir", s.options.Dir)
		// pg_ctl runs as the account: a process id from a file the account owns is no business of root's.
		err := runProgram(ctx, s.account, s.data(), s.binaries.path("pg_ctl"), "stop", "-D", s.data(), "-m", "fast", "-w", "-t", "60")
		if _, gone := os.Stat(pidFile); err != nil && !errors.Is(gone, fs.ErrNotExist) { // it may have been stopping by itself
			return fmt.Errorf("stop the orphaned server in %s: %w", s.options.Dir, err)
		}
	default:
		if err := s.disown(pidFile, string(text)); err != nil {
			return fmt.Errorf("clear %s: %w", pidFile, err)
		}
	}
	if err := endLeftovers(ctx, s.data()); err != nil {
		return err
	}
	return removeSocket(s.sock, s.port())
}

// socketOf reads, from the lock file of a server, the path of its socket.
func socketOf(postmasterPID string) string {
	lines := strings.Split(postmasterPID, "\n") // pid, data directory, start time, port, socket directory, ...
	if len(lines) < 5 || lines[4] == "" {
		return ""
	}
	port, err := strconv.Atoi(strings.TrimSpace(lines[3]))
	if err != nil {
		return ""
	}
	return socketPath(lines[4], port)
}

// disown writes our own process id over that of the dead server. Postgres refuses to start while the
// process in its lock file seems to live, which it does when the number was given to another process
// or, in a container whose first process reaps nobody, for ever. Its parent's number it takes for
// stale, and still checks by the other lines that nobody uses the old shared memory.
func (s *Server) disown(pidFile, text string) error {
	_, rest, _ := strings.Cut(text, "\n")
	fresh := pidFile + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%d\n%s", os.Getpid(), rest)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := s.account.take(fresh); err != nil {
		return err
	}
	return os.Rename(fresh, pidFile)
}
