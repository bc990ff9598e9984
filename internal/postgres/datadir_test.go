package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

func TestHalfMadeDataIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := pgtest.ServerDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestDataOfAnotherVersionIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	version := filepath.Join(dir, "data", "PG_VERSION")
	made := readFile(t, version)
	writeFile(t, version, "9\n")
	_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir, Durable: true})
	if !errors.Is(err, postgres.ErrOtherVersion) || !strings.Contains(err.Error(), "Postgres 9,") {
		t.Fatalf("start: %v, want ErrOtherVersion and the version", err)
	}
	writeFile(t, version, made)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestRootRunsTheServerAsTheOwnerOfItsData(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("runs as root on Linux only")
	}
	dir := madeDir(t)
	if out, err := exec.Command("chown", "-R", "nobody", filepath.Join(dir, "data"), filepath.Join(dir, "sock")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	s := start(t, postgres.ServerOptions{Dir: dir})
	for what, path := range map[string]string{"the server": fmt.Sprintf("/proc/%d", s.PID()), "the data": filepath.Join(dir, "data")} {
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		uid := strconv.Itoa(int(stat.Sys().(*syscall.Stat_t).Uid))
		if owner, err := user.LookupId(uid); err != nil || owner.Username != "nobody" {
			t.Errorf("%s belongs to %s, want nobody", what, uid)
		}
	}
}

func TestUnusableDirectoryIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	t.Run("data that is no data directory is left alone", func(t *testing.T) {
		t.Parallel()
		dir := pgtest.ServerDir(t)
		precious := filepath.Join(dir, "data", "precious")
		if err := os.MkdirAll(precious, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "no data directory of Postgres") {
			t.Errorf("start: %v", err)
		}
		if _, err := os.Stat(precious); err != nil {
			t.Error(err)
		}
	})
	t.Run("root is told which directory the account may not enter", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("runs as root only")
		}
		private := pgtest.ServerDir(t)
		if err := os.Chmod(private, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: filepath.Join(private, "pg")})
		if err == nil || !strings.Contains(err.Error(), "may not enter "+private) {
			t.Errorf("start: %v", err)
		}
	})
}

func TestLongDirectoryPutsItsSocketElsewhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.ServerDir(t), strings.Repeat("long/", 20))
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
	if url, ok := postgres.RunningURL(dir); !ok || url != s.URL(postgres.Database) {
		t.Errorf("RunningURL = %q, %v", url, ok)
	}
	stop(t, s)
	if err := postgres.RemoveServer(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

func TestDirectoryNameNeedsNoCare(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.ServerDir(t), `a, "b" & c=d%20+e`)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
	stop(t, s)
	if err := postgres.RemoveServer(t.Context(), dir); err != nil { // the comma puts its socket elsewhere
		t.Error(err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	for _, name := range []string{"sock", "data"} {
		stat, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := stat.Mode().Perm(); mode != 0o700 {
			t.Errorf("%s is %o, want 700", name, mode)
		}
	}
}
