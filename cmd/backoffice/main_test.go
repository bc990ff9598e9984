package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
)

// asProgram, in the environment, makes the test binary the program itself.
const asProgram = "BACKOFFICE_TEST_AS_PROGRAM"

// TestMain takes away the settings of whoever runs the tests. pgtest's own setting is not among them.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); name == "DATABASE_URL" || strings.HasPrefix(name, "BACKOFFICE_") && name != "BACKOFFICE_PG_BIN" {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// ran is what a run of the program left behind.
type ran struct {
	stdout, stderr string
	code           int
}

// backoffice runs the program in this process.
func backoffice(t *testing.T, args ...string) ran {
	t.Helper()
	return backofficeWithin(t, t.Context(), args...)
}

func backofficeWithin(t *testing.T, ctx context.Context, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{"backoffice"}, args...), &stdout, &stderr)
	return ran{stdout: stdout.String(), stderr: stderr.String(), code: code}
}

// process prepares a run of the program in a process of its own, with nothing in its environment.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := exec.CommandContext(t.Context(), os.Args[0], args...)
	program.Env = []string{asProgram + "=1"}
	return program
}

// shop is a migrated database of the test's own and the program working on it.
type shop struct {
	t    *testing.T
	url  string
	pool *pgxpool.Pool
}

func newShop(t *testing.T) shop {
	t.Helper()
	return shop{t: t, url: pgtest.URL(t), pool: pgtest.Pool(t)}
}

// try runs the program, however it ends.
func (s shop) try(args ...string) ran {
	s.t.Helper()
	return backoffice(s.t, append(args, "--database-url", s.url)...)
}

// text runs the program, which must succeed, and answers what it printed.
func (s shop) text(args ...string) string {
	s.t.Helper()
	r := s.try(args...)
	if r.code != exitOK {
		s.t.Fatalf("backoffice %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// json runs the program with --output json, which must succeed, and reads what it printed.
func (s shop) json(into any, args ...string) {
	s.t.Helper()
	printed := s.text(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(printed), into); err != nil {
		s.t.Fatalf("backoffice %s: %v in %s", strings.Join(args, " "), err, printed)
	}
}

// exec changes the shop's database behind the program's back.
func (s shop) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// refused checks that the program ended with one sentence that holds the given words and with the code.
func refused(t *testing.T, r ran, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code = %d, want %d; stderr: %s", r.code, code, r.stderr)
	}
	if !strings.HasPrefix(r.stderr, "backoffice: ") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("stderr = %q, want one line that begins with backoffice:", r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("stderr = %q, want %q in it", r.stderr, word)
		}
	}
	if r.stdout != "" {
		t.Errorf("stdout = %q, want nothing", r.stdout)
	}
}

// contains checks that a text holds all the words.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is missing in:\n%s", word, text)
		}
	}
}

// contextThatEnded is that of a program whose interrupt came before it began.
func contextThatEnded(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
