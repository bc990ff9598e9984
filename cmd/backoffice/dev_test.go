package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

// devDir is an empty directory that the server's account may enter, unlike that of t.TempDir for root.
func devDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "backoffice-dev-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startDev starts dev and returns once it has printed the given text.
func startDev(t *testing.T, dir, text string) *exec.Cmd {
	t.Helper()
	program := process(t, "dev", "--data-dir", dir)
	program.Env = append(program.Env, "PATH="+os.Getenv("PATH"), "BACKOFFICE_PG_BIN="+os.Getenv("BACKOFFICE_PG_BIN"))
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	program.Stderr = &stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Signal(syscall.SIGINT) // for a test that failed midway; the server goes with it
		_ = program.Wait()
	})
	seen := readUntil(bufio.NewScanner(stdout), text)
	if !strings.Contains(seen, text) {
		t.Fatalf("dev did not say %q: %s %s", text, seen, stderr.String())
	}
	go io.Copy(io.Discard, stdout) //nolint:errcheck // ends with the program
	return program
}

func TestDevShowsTheWholeInOneCommand(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	dev := startDev(t, dir, "200 orders:")
	orders := func() int {
		r := backoffice(t, "orders", "list", "--limit", "1000", "--output", "json", "--data-dir", dir)
		if r.code != exitOK {
			t.Fatalf("orders list: %s", r.stderr)
		}
		return strings.Count(r.stdout, `"number"`)
	}
	if n := orders(); n != 200 {
		t.Errorf("another command finds %d orders, want 200", n)
	}
	refused(t, backoffice(t, "dev", "--data-dir", dir), exitFailed, dir, "process")

	// A second start finds the data of the first, whatever ended it.
	if err := dev.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dev.Wait() // it was killed
	dev = startDev(t, dir, "200 orders:")
	if n := orders(); n != 200 {
		t.Errorf("after kill -9 there are %d orders, want 200", n)
	}
	if err := dev.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := dev.Wait(); err != nil {
		t.Errorf("dev ended with %v, want exit code 0", err)
	}
	r := backoffice(t, "orders", "list", "--data-dir", dir)
	refused(t, r, exitFailed, "no database", "backoffice dev", "DATABASE_URL")
}

func TestDevSaysWhenItsServerEnds(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	program := startDev(t, dir, "200 orders:")
	pidFile, err := os.ReadFile(dir + "/data/postmaster.pid")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(pidFile), "\n")
	kill := exec.Command("kill", "-9", line)
	if err := kill.Run(); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err == nil {
		t.Error("dev ended well though its server was killed")
	}
	if text := program.Stderr.(*strings.Builder).String(); !strings.Contains(text, "server ended by itself") {
		t.Errorf("dev said %q", text)
	}
	startDev(t, dir, "200 orders:")
	pgtest.Eventually(t, "the orders are there", func() (bool, error) {
		return strings.Contains(backoffice(t, "orders", "show", "--number", "S-00001", "--data-dir", dir).stdout, "processed"), nil
	})
}

func TestDevReplacesAWorkerThatWasDeclaredDead(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	startDev(t, dir, "200 orders:")
	url, running := postgres.RunningURL(dir)
	if !running {
		t.Fatal("no running dev is found")
	}
	pool, err := postgres.Connect(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `update worker_processes set declared_dead_at = now()`); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "another worker lives", func() (bool, error) {
		var alive int
		err := pool.QueryRow(t.Context(), `select count(*) from worker_processes where declared_dead_at is null`).Scan(&alive)
		return alive == 1, err
	})
}
