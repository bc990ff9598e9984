package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/postgres"
)

// testHome is the private directory of this user below the system's temporary one. Root's lets the
// account of the server pass.
func testHome() (string, error) {
	base := os.TempDir()
	if len(base) > 40 { // on macOS; a socket's path must stay short
		base = "/tmp"
	}
	home := filepath.Join(base, fmt.Sprintf("backoffice-test-%d", os.Geteuid()))
	if err := os.Mkdir(home, enterable()); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	stat, err := os.Lstat(home)
	if err != nil {
		return "", err
	}
	if owner := stat.Sys().(*syscall.Stat_t).Uid; !stat.IsDir() || int(owner) != os.Geteuid() || stat.Mode()&0o022 != 0 {
		return "", fmt.Errorf("%s exists and is no private directory of this user; remove it", home)
	}
	return home, os.Chmod(home, enterable()) // whatever the umask
}

func enterable() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// ServerDir makes a directory for a server of the test's own, which the server's account may enter, also when
// the tests run as root, and whose path leaves room for a socket: t.TempDir offers neither. It ends with the
// test.
func ServerDir(t testing.TB) string {
	t.Helper()
	skipIfShort(t)
	dir, err := os.MkdirTemp("/tmp", "backoffice-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, enterable()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runDir makes the directory for the server of this test binary.
func runDir(home string) (string, error) {
	dir, err := os.MkdirTemp(home, fmt.Sprintf("run-%d-", os.Getpid()))
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, enterable())
}

// sweepRuns removes the directories of test binaries that are no more. What cannot be removed now is
// left for the next run.
func sweepRuns(ctx context.Context, home string) {
	runs, _ := filepath.Glob(filepath.Join(home, "run-*")) // the only error is a malformed pattern
	for _, run := range runs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(run), "run-"), "-")
		if pid, err := strconv.Atoi(owner); err == nil && syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		_ = postgres.RemoveServer(ctx, run)
	}
}
