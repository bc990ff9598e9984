package queue_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// BenchmarkIdle counts what an idle worker process asks of Postgres: every statement, by the server's
// own log, for 20 s after the process has settled. It is the only one, so it is River's leader too.
// First the client alone, then with heartbeat and reaper, then the program `backoffice worker` with all
// it does. -v prints the statements by what asked them.
//
//	go test -run '^$' -bench Idle -v ./internal/queue
func BenchmarkIdle(b *testing.B) {
	server := startDurable(b)
	logStatements(b, server)
	url := server.URL(postgres.Database)
	rest := func(context.Context, *river.Job[probeArgs]) error { return nil }
	b.Run("client", func(b *testing.B) {
		startBenchClient(b, url, rest)
		countIdle(b, server)
	})
	b.Run("process", func(b *testing.B) {
		startBenchProcess(b, url, queue.ProcessConfig{
			WorkerConfig: benchConfig(rest), Version: "bench", Liveness: queue.DefaultLiveness, MaxCrashRescues: 3, HardStop: time.Minute,
		})
		countIdle(b, server)
	})
	b.Run("program", func(b *testing.B) {
		startBenchProgram(b, url)
		countIdle(b, server)
	})
}

const (
	settle    = 12 * time.Second // a reaper begins to judge after 10 s, a leader is elected after 5 s
	idleWhile = 20 * time.Second // what is measured
)

// logStatements makes the server log every statement.
func logStatements(b *testing.B, server *postgres.Server) {
	b.Helper()
	pool := benchPool(b, server.URL("postgres"), "bench settings", 1)
	for _, sql := range []string{"alter system set log_statement = 'all'", "alter system set log_line_prefix = '@'", "select pg_reload_conf()"} {
		if _, err := pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
}

// startBenchProcess runs a worker process until the benchmark ends.
func startBenchProcess(b *testing.B, url string, cfg queue.ProcessConfig) {
	b.Helper()
	process, err := queue.NewProcess(benchPool(b, url, cfg.ClientID, 22), cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := process.Run(ctx); err != nil {
			b.Errorf("run: %v", err)
		}
	})
	b.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// startBenchProgram builds the program and runs its worker until the benchmark ends.
func startBenchProgram(b *testing.B, url string) {
	b.Helper()
	program := filepath.Join(b.TempDir(), "backoffice")
	if out, err := osexec.CommandContext(b.Context(), "go", "build", "-o", program, "../../cmd/backoffice").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v: %s", err, out)
	}
	worker := osexec.Command(program, "worker", "--database-url", url)
	var complaints bytes.Buffer
	worker.Stderr = &complaints
	if err := worker.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(worker.Process.Signal(syscall.SIGTERM), worker.Wait()); err != nil {
			b.Errorf("backoffice worker: %v: %s", err, complaints.String())
		}
	})
}

// countIdle reports the statements of 20 s.
func countIdle(b *testing.B, server *postgres.Server) {
	b.Helper()
	<-time.After(settle)
	from := logSize(b, server)
	<-time.After(idleWhile)
	asked := statements(b, server, from, logSize(b, server))
	total := 0
	for _, times := range asked {
		total += times
	}
	b.ReportMetric(0, "ns/op") // of a fixed time
	b.ReportMetric(float64(total)/idleWhile.Seconds(), "queries/s")
	if !testing.Verbose() {
		return
	}
	for _, tag := range slices.SortedFunc(maps.Keys(asked), func(one, other string) int { return asked[other] - asked[one] }) {
		fmt.Fprintf(os.Stderr, "%8.2f/s  %s\n", float64(asked[tag])/idleWhile.Seconds(), tag)
	}
}

func logSize(b *testing.B, server *postgres.Server) int64 {
	b.Helper()
	found, err := os.Stat(server.LogFile())
	if err != nil {
		b.Fatal(err)
	}
	return found.Size()
}

// What the log writes before a statement, and the tags by which ours and River's tell their origin.
var (
	statementLine = regexp.MustCompile(`^@LOG:  (?:execute [^:]*|statement): (.*)`)
	tagOf         = regexp.MustCompile(`/\* ([^*]+) \*/|-- name: (\w+)`)
)

// statements counts the statements in a part of the server's log, by their tag or else their beginning.
func statements(b *testing.B, server *postgres.Server, from, to int64) map[string]int {
	b.Helper()
	file, err := os.Open(server.LogFile())
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	asked := map[string]int{}
	statement := ""
	closeStatement := func() {
		if statement = strings.Join(strings.Fields(statement), " "); statement != "" {
			asked[originOf(statement)]++
		}
		statement = ""
	}
	lines := bufio.NewScanner(io.NewSectionReader(file, from, to-from))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "@") {
			closeStatement()
		}
		if match := statementLine.FindStringSubmatch(line); match != nil {
			statement = match[1] + " "
		} else if !strings.HasPrefix(line, "@") && statement != "" {
			statement += line
		}
	}
	closeStatement()
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
	return asked
}

func originOf(statement string) string {
	if tag := tagOf.FindStringSubmatch(statement); tag != nil {
		return tag[1] + tag[2]
	}
	return statement[:min(len(statement), 90)]
}
