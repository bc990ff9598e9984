package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/migrations"
)

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for range 5 {
		t.Run("an order written by one is not seen by another", func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			execSQL(t, pool, "insert into orders default values")
			if n := count(t, pool, "orders"); n != 1 {
				t.Errorf("%d orders, want 1", n)
			}
		})
	}
}

func TestPoolAndURLOfOneTestAreOneDatabase(t *testing.T) {
	t.Parallel()
	execSQL(t, pgtest.Pool(t), "insert into orders default values")
	if first, second := pgtest.Pool(t), pgtest.Pool(t); first != second {
		t.Error("two pools for one test")
	}
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if n := count(t, conn, "orders"); n != 1 {
		t.Errorf("%d orders by URL, want 1", n)
	}
}

func TestMigratedDatabaseIsCurrent(t *testing.T) {
	t.Parallel()
	if err := migrations.Check(t.Context(), pgtest.Pool(t)); err != nil {
		t.Error(err)
	}
}

func TestEmptyURLHasNoSchema(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if n := count(t, conn, "pg_class where relnamespace = 'public'::regnamespace"); n != 0 {
		t.Errorf("%d relations, want none", n)
	}
}

func TestTxLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Run("one test writes", func(t *testing.T) {
		tx := pgtest.Tx(t)
		execSQL(t, tx, "insert into customers (number) values ('left')")
		if n := count(t, tx, "customers where number = 'left'"); n != 1 {
			t.Errorf("%d customers, want 1", n)
		}
	})
	t.Run("the next sees nothing", func(t *testing.T) {
		if n := count(t, pgtest.Tx(t), "customers where number = 'left'"); n != 0 {
			t.Errorf("%d customers, want none", n)
		}
	})
}

const holdEnv = "BACKOFFICE_TEST_HOLD"

// TestHold is run in another program, which ends in the ways a test binary may.
func TestHold(t *testing.T) {
	if os.Getenv(holdEnv) == "" {
		t.Skip("runs in a program of its own")
	}
	url := pgtest.URL(t)
	pgtest.Tx(t)
	var pid int
	var dir string
	err := pgtest.Pool(t).QueryRow(t.Context(), `
		select split_part(pg_read_file('postmaster.pid'), e'\n', 1)::int, current_setting('data_directory')`).Scan(&pid, &dir)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("\nholding", pid, filepath.Dir(dir), url)
	bufio.NewReader(os.Stdin).ReadString('\n')
}

func TestServerAndDirectoryEndWithTheTestBinary(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule string
		end  func(program *exec.Cmd, stdin io.Closer) error
	}{
		{"when it is done", func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() }},
		{"when it is killed", func(program *exec.Cmd, _ io.Closer) error { return program.Process.Kill() }},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			program, stdin, h := hold(t, "")
			if err := tc.end(program, stdin); err != nil {
				t.Fatal(err)
			}
			program.Wait()
			pgtest.Eventually(t, "server and directory are gone", func() (bool, error) {
				_, err := os.Stat(h.dir)
				return !lives(h.pid) && errors.Is(err, fs.ErrNotExist), nil
			})
		})
	}
}

func TestGivenServerIsUsedAndLeftClean(t *testing.T) {
	t.Parallel()
	given := pgtest.EmptyURL(t)
	program, stdin, h := hold(t, given)
	config, err := pgx.ParseConfig(given)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.url, config.Host) {
		t.Errorf("made %s, want it on %s", h.url, config.Host)
	}
	stdin.Close()
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	made, err := pgx.ParseConfig(h.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), given)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if n := count(t, conn, "pg_database where datname = '"+made.Database+"'"); n != 0 {
		t.Errorf("database %s was left", made.Database)
	}
}

// held is what the other program made.
type held struct {
	pid int // of its server
	dir string
	url string
}

func hold(t *testing.T, given string) (*exec.Cmd, io.Closer, held) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Postgres; runs without -short")
	}
	program := exec.Command(os.Args[0], "-test.run=^TestHold$", "-test.v")
	program.Env = append(os.Environ(), holdEnv+"=1", "TEST_DATABASE_URL="+given)
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Process.Kill(); program.Wait() })
	var h held
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if n, _ := fmt.Sscanf(lines.Text(), "holding %d %s %s", &h.pid, &h.dir, &h.url); n == 3 {
			return program, stdin, h
		}
	}
	t.Fatalf("the other program ended early: %s", said.String())
	return nil, nil, h
}

// lives says whether a process runs; one that ended and was not reaped yet does not.
func lives(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // no /proc here: the signal decides
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func execSQL(t *testing.T, db postgres.DB, sql string) {
	t.Helper()
	if _, err := db.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t *testing.T, db postgres.DB, from string) (n int) {
	t.Helper()
	if err := db.QueryRow(context.Background(), "select count(*) from "+from).Scan(&n); err != nil {
		t.Fatalf("count %s: %v", from, err)
	}
	return n
}
