package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/bench"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

// durableServer starts a server of the test's own that a benchmark accepts; pgtest's forgets in a crash.
func durableServer(t *testing.T) *postgres.Server {
	t.Helper()
	server, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: pgtest.ServerDir(t), BinDir: os.Getenv("BACKOFFICE_PG_BIN"), Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

// benchProcess runs bench in a process of its own, whose children are the test binary too.
func benchProcess(t *testing.T, args ...string) (ran, *exec.Cmd) {
	t.Helper()
	var stdout, stderr strings.Builder
	program := process(t, append([]string{"bench", "--quick"}, args...)...)
	program.Env = append(program.Env, "BACKOFFICE_PG_BIN="+os.Getenv("BACKOFFICE_PG_BIN"), "TMPDIR="+pgtest.ServerDir(t))
	program.Stdout, program.Stderr = &stdout, &stderr
	err := program.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{stdout: stdout.String(), stderr: stderr.String(), code: program.ProcessState.ExitCode()}, program
}

// benchDatabases are those that benchmarks left on a server.
func benchDatabases(t *testing.T, server *postgres.Server) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `select datname from pg_database where datname like 'backoffice_bench%'`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestBenchMeasuresEveryScenarioOnAGivenServer(t *testing.T) {
	t.Parallel()
	server := durableServer(t)
	r, _ := benchProcess(t, "--output", "json", "--database-url", server.URL(postgres.Database))
	if r.code != exitOK {
		t.Fatalf("exit code %d: %s\n%s", r.code, r.stderr, r.stdout)
	}
	var report bench.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, r.stdout)
	}
	var measured, want []string
	for _, s := range bench.Scenarios() {
		if !s.NeedsFile {
			want = append(want, s.Name)
		}
	}
	for _, s := range report.Scenarios {
		measured = append(measured, s.Name)
		for _, c := range s.Contestants {
			if len(c.Voids) > 0 || len(c.Figures) == 0 {
				t.Errorf("%s: %s has %d figures and is void because of %q", s.Name, c.Name, len(c.Figures), c.Voids)
			}
		}
		for _, ratio := range s.Ratios {
			if ratio.Median <= 0 || ratio.Reached != "" {
				t.Errorf("%s: %s: ratio %v, reached %q; a quick run has ratios and judges none", s.Name, ratio.What, ratio.Median, ratio.Reached)
			}
		}
	}
	if !slices.Equal(measured, want) {
		t.Errorf("measured %q, want %q", measured, want)
	}
	if h := report.Header; h.Postgres == "" || h.Go == "" || h.River == "" || h.Cores == 0 || h.Settings["fsync"] != "on" || h.Embedded {
		t.Errorf("header %+v", h)
	}
	if left := benchDatabases(t, server); len(left) > 0 {
		t.Errorf("databases left: %q", left)
	}
}

// benchFile is how a csv of the test's own is named on the command line.
func benchFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.csv")
	text := "number,sku,quantity,placed_at,unit_price\n" + strings.Repeat("A-1,A,1,2026-01-31,1.25\n", 3) + "A-2,B,2,2026-01-31,0.75\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBenchMeasuresAFileOnAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range bench.Scenarios() {
		if s.NeedsFile || s.Name == "import" {
			names = append(names, s.Name)
		}
	}
	r, program := benchProcess(t, append(names, "--file", benchFile(t))...)
	if r.code != exitOK {
		t.Fatalf("exit code %d: %s\n%s", r.code, r.stderr, r.stdout)
	}
	contains(t, r.stdout, "embedded server", "fsync=on", "RATIO", "orders import", "lines/s")
	contains(t, r.stdout, names...)
	contains(t, r.stderr, "run 1 of 1")
	for _, variable := range program.Env {
		if dir, ok := strings.CutPrefix(variable, "TMPDIR="); ok {
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left in the temporary directory: %v %v", left, err)
			}
		}
	}
}

func TestBenchReportsARunThatBrokeARuleAsVoid(t *testing.T) {
	t.Parallel()
	server, bin := durableServer(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "psql"), []byte("#!/bin/sh\n"), 0o755); err != nil { // copies nothing
		t.Fatal(err)
	}
	r, _ := benchProcess(t, "import", "--pg-bin", bin, "--database-url", server.URL(postgres.Database))
	if r.code != exitFailed {
		t.Errorf("exit code %d, want 1", r.code)
	}
	contains(t, r.stdout, `\copy`, "void", "Lines:0", "orders import")
	contains(t, r.stderr, "run 1 of 1: \\copy: void", "backoffice: bench: runs that count for nothing: 1")
	if left := benchDatabases(t, server); len(left) > 0 {
		t.Errorf("databases left: %q", left)
	}
}

func TestBenchInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	server := durableServer(t)
	program := process(t, "bench", "enqueue", "--orders", "2000", "--database-url", server.URL(postgres.Database))
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	seen := readUntil(lines, "run 1 of 5: insert:")
	if err := program.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest := readUntil(lines, "no line holds this")
	err = program.Wait()
	if program.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ended with %v, want exit code 1; stderr:\n%s%s", err, seen, rest)
	}
	contains(t, rest, "backoffice: interrupted: bench enqueue")
	if left := benchDatabases(t, server); len(left) > 0 {
		t.Errorf("databases left: %q", left)
	}
}

func TestBenchRefusesAServerThatForgets(t *testing.T) {
	t.Parallel()
	refused(t, backoffice(t, "bench", "noop", "--database-url", pgtest.EmptyURL(t)), exitFailed, "fsync=off", "may be lost in a crash")
}

func TestBenchRefusesInOneSentence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"a scenario that there is not", `there is no scenario "sleep"`, []string{"sleep"}},
		{"no rounds", "--runs 0 is below 1", []string{"--runs", "0"}},
		{"no orders", "--orders 0 is below 1", []string{"--orders", "0"}},
		{"connections that are no numbers", `--connections: "many" is no number from 1 to 1000`, []string{"--connections", "4,many"}},
		{"no connection", `--connections: "0" is no number`, []string{"--connections", "0"}},
		{"a rate of nothing", `--rates: "0" is no number of orders per second`, []string{"--rates", "0"}},
		{"a rate that is no number", `--rates: "NaN" is no number of orders per second`, []string{"--rates", "20,NaN"}},
		{"a file that there is not", "--file /nowhere/orders.csv is no file that can be read", []string{"--file", "/nowhere/orders.csv"}},
		{"a zone that there is not", `--timezone "Mars" is unknown`, []string{"--timezone", "Mars"}},
		{"a flag of orders import that makes no sense here", "bench has no flag --rejects", []string{"--rejects", "r.csv"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refused(t, backoffice(t, append([]string{"bench"}, tc.args...)...), exitUsage, tc.want)
		})
	}
}

func TestBenchListsTheScenarios(t *testing.T) {
	t.Parallel()
	r := backoffice(t, "bench", "--list")
	contains(t, r.stdout, "SCENARIO", "enqueue", "noop", "import")
}
