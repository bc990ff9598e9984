package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/order"
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

// devProcess is a running dev.
type devProcess struct {
	*exec.Cmd
	apiProcess        // which runs in it
	said       string // so far
}

var siteLine = regexp.MustCompile(`(?m)^  status +(http://\S+)/ in a browser`)

// startDev starts dev and returns once it has printed the given text.
func startDev(t *testing.T, dir, text string, args ...string) devProcess {
	t.Helper()
	program := process(t, append([]string{"dev", "--data-dir", dir}, args...)...)
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
	site := siteLine.FindStringSubmatch(seen)
	if site == nil {
		t.Fatalf("dev did not say where the status page is: %s", seen)
	}
	return devProcess{program, apiProcess{url: site[1]}, seen}
}

// fetch answers the body of a page that must be there.
func (d devProcess) fetch(t *testing.T, path string) string {
	t.Helper()
	status, body, err := d.send(http.MethodGet, path, "")
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET %s: %d %s %v", path, status, body, err)
	}
	return body
}

func TestDevServesTheAPIAndTheStatusPage(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	dev := startDev(t, dir, "200 orders:", "--addr", "127.0.0.1:0")
	contains(t, dev.said, " --data-dir "+dir+" orders list ") // another terminal finds it so
	contains(t, dev.fetch(t, "/"), "<title>", "Worker processes", "alive", "200")
	dev.fetch(t, "/readyz")
	status, placed, err := dev.send(http.MethodPost, "/api/orders", `{"number":"W-1","lines":[{"sku":"TEAPOT","quantity":1,"unit_price":"24.50"}]}`)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("place: %d %s %v", status, placed, err)
	}
	pgtest.Eventually(t, "the order is processed", func() (bool, error) {
		return strings.Contains(dev.fetch(t, "/api/orders/201"), `"number":"W-1","kind":"sale","status":"processed"`), nil
	})
}

func TestDevTakesAnotherPortForWantOfTheUsual(t *testing.T) {
	t.Parallel()
	if taken, err := net.Listen("tcp", apiAddr); err == nil { // else another program has it, which does as well
		defer taken.Close()
	}
	dev := startDev(t, devDir(t), "In another terminal:", "--no-samples")
	contains(t, dev.said, "another program has "+apiAddr, "--addr")
	if strings.HasSuffix(dev.url, apiAddr) {
		t.Errorf("the API is at %s, which is taken", dev.url)
	}
	dev.fetch(t, "/livez")
}

func TestDevEndsWithEverythingItStarted(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	dev := startDev(t, dir, "In another terminal:", "--addr", "127.0.0.1:0")
	dev.fetch(t, "/livez") // over a connection that stays open
	if err := dev.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := dev.Wait(); err != nil {
		t.Errorf("dev ended with %v, want exit code 0: %s", err, dev.Stderr)
	}
	if _, _, err := dev.send(http.MethodGet, "/livez", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the API answers, or %v", err)
	}
	if url, running := postgres.RunningURL(dir); running {
		t.Errorf("the server of %s runs on", url)
	}
	if _, err := os.Stat(dir + "/data/postmaster.pid"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server did not stop in order: %v", err)
	}
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
	for _, again := range [][]string{{"dev", "--data-dir", dir}, {"dev", "--data-dir", dir, "--addr", strings.TrimPrefix(dev.url, "http://")}} {
		refused(t, backoffice(t, again...), exitFailed, "--data-dir "+dir, "process")
	}

	// A second start finds the data of the first, whatever ended it and whatever was put beside it.
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dev.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dev.Wait() // it was killed
	dev = startDev(t, dir, "200 orders:", "--timezone", "Europe/London")
	contains(t, backoffice(t, "schedules", "show", "sales-summary-daily", "--data-dir", dir).stdout, "Europe/London")
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

func TestAccountOfDevSaysWhatItCounted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		counted map[order.Status]int
		want    string
	}{
		{map[order.Status]int{order.StatusProcessed: 189, order.StatusAwaitingStock: 10, order.StatusRejected: 1},
			"200 orders: 189 processed, 10 await stock, 1 rejected, 0 not processed yet.\n"},
		{map[order.Status]int{order.StatusPlaced: 1200, order.StatusProcessed: order.CountNewest - 1200},
			"of the newest 10,000 orders: 8,800 processed, 0 await stock, 0 rejected, 1,200 not processed yet.\n"},
	} {
		if got := settled(tc.counted); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
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
