package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrOtherVersion means that the data was made by another major version of Postgres than the programs
// found. Nothing is changed then.
var ErrOtherVersion = errors.New("made by another version of Postgres")

// DefaultDir is where `backoffice dev` keeps its server when no directory is named: /var/lib for root,
// the user's state directory for everybody else.
func DefaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/backoffice/pg", nil
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "backoffice", "pg"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("choose a data directory: this user has no home directory (%w); name one with --data-dir", err)
	}
	return filepath.Join(home, ".local", "state", "backoffice", "pg"), nil
}

// makeDir makes the directory that holds everything of one server. Root's stays root's and lets the
// account pass to its own directories in it, without listing what else is there.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return os.MkdirAll(dir, 0o700)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o711)
}

func dataDir(dir string) string { return filepath.Join(dir, "data") }

// dataVersion answers the major version of Postgres that made the data in dir; 0 when there is none.
func dataVersion(dir string) (int, error) {
	data := dataDir(dir)
	if _, err := os.Stat(data); os.IsNotExist(err) {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("use %s: it is no data directory of Postgres (%w); move it away, or name another directory", data, err)
	}
	major, _, _ := strings.Cut(strings.TrimSpace(string(text)), ".")
	return strconv.Atoi(major)
}

// ensureData makes the data directory at the first start, or refuses one that the programs cannot
// serve. initdb works beside it and the result is renamed, so it is never half-made.
func ensureData(ctx context.Context, dir string, major int, b binaries, a account, durable bool) error {
	data := dataDir(dir)
	if major == b.major {
		return nil
	}
	if major != 0 {
		return fmt.Errorf("use %s: %w: data of Postgres %d, programs of Postgres %d in %s; "+
			"point --pg-bin (BACKOFFICE_PG_BIN) to the programs of Postgres %d, or name another directory",
			data, ErrOtherVersion, major, b.major, b.dir, major)
	}
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := a.own(fresh); err != nil {
		return err
	}
	args := []string{"--pgdata", fresh, "--username", Role, "--encoding", "UTF8", "--locale", "C",
		"--auth-local", "trust", "--auth-host", "scram-sha-256"} // the socket's directory is private; a port is not
	if !durable {
		args = append(args, "--no-sync")
	}
	if err := runProgram(ctx, a, fresh, b.path("initdb"), args...); err != nil {
		return errors.Join(fmt.Errorf("make data directory %s: %w", data, err), os.RemoveAll(fresh))
	}
	return os.Rename(fresh, data)
}
