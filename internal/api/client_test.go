package api_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"backoffice/internal/api"
)

// What others build from the document works as well: a linter takes it, and a client generated from it
// places an order. Both tools are public and none of ours; docs/openapi.md tells how to run them by hand.

// document writes the served document to a file in a new directory.
func (s *shop) document() (dir, file string) {
	s.t.Helper()
	dir = s.t.TempDir()
	file = filepath.Join(dir, "openapi.json")
	if err := os.WriteFile(file, []byte(s.get("/api/openapi.json").body), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return dir, file
}

func TestDocumentPassesALinter(t *testing.T) {
	t.Parallel()
	linter, err := exec.LookPath("redocly")
	if err != nil {
		t.Skip("redocly is not installed; npm install --global @redocly/cli makes this test run")
	}
	_, file := newShop(t).document()
	lint := exec.CommandContext(t.Context(), linter, "lint", "--extends", "recommended-strict", file)
	lint.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("redocly lint: %v\n%s", err, out)
	}
}

func TestGeneratedClientPlacesAnOrder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: compiles a generator and a client")
	}
	if out, err := tool(t, "oapi-codegen", "-version").CombinedOutput(); err != nil {
		t.Skipf("oapi-codegen cannot be had: %v: %s", err, out)
	}
	s := newShop(t)
	dir, file := s.document()
	generated := filepath.Join(dir, "client.go")
	if out, err := tool(t, "oapi-codegen", "-generate", "types,client", "-package", "main", "-o", generated, file).CombinedOutput(); err != nil {
		t.Fatalf("oapi-codegen: %v\n%s", err, out)
	}
	example, err := os.ReadFile("../../docs/client/place_order.go")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "place_order.go")
	if err := os.WriteFile(program, example, 0o600); err != nil {
		t.Fatal(err)
	}
	key := s.key("client", api.ScopeEnqueue, api.ScopeRead)[1]
	for range 2 { // the second run repeats the first by its idempotency key
		var stdout, stderr bytes.Buffer
		run := inRepository(t, "run", "-modfile", ".ci/tools.mod", generated, program, s.url)
		run.Env = append(os.Environ(), "BACKOFFICE_API_KEY="+strings.TrimPrefix(key, "Bearer "))
		run.Stdout, run.Stderr = &stdout, &stderr
		if err := run.Run(); err != nil {
			t.Fatalf("run the client: %v\n%s", err, &stderr)
		}
		want := "order 1, number G-1, is placed; it comes to 6.4 GBP\nrefused: order 1 of 1, line 1: quantity 0"
		if !strings.HasPrefix(stdout.String(), want) {
			t.Errorf("the client printed %q, want %q", &stdout, want)
		}
	}
	if got := one[string](s, `select (select count(*) from orders) || ' orders, ' || count(*) || ' jobs' from river_job`); got != "1 orders, 1 jobs" {
		t.Errorf("stored %s, want 1 orders, 1 jobs", got)
	}
}

// tool is a Go tool that only the project's checks use.
func tool(t *testing.T, args ...string) *exec.Cmd {
	return inRepository(t, append([]string{"tool", "-modfile", ".ci/tools.mod"}, args...)...)
}

func inRepository(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = "../.."
	return command
}
