package main

import (
	"bufio"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/pgtest"
)

func TestFirstSignalStopsAWorkerThatEndsWell(t *testing.T) {
	t.Parallel()
	program := process(t, "worker", "--database-url", pgtest.URL(t), "--log-format", "json")
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	logs := bufio.NewScanner(stderr)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	seen := readUntil(logs, `"worker started"`)
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	seen += readUntil(logs, `"worker stopped"`)
	rest := readUntil(logs, "no line holds this")
	if err := program.Wait(); err != nil {
		t.Errorf("worker ended with %v, want exit code 0; logs:\n%s%s", err, seen, rest)
	}
	contains(t, seen, `"worker started"`, `"worker stopped"`)
}

// readUntil reads lines up to the one with the given text, or to the end.
func readUntil(lines *bufio.Scanner, text string) string {
	var seen strings.Builder
	for lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), text) {
			break
		}
	}
	return seen.String()
}
