package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

// madeIn is a directory for the life of this test binary; TestMain makes and removes it.
var madeIn string

// made answers madeIn once a server was started and stopped there; its data are copied by madeDir.
var made = sync.OnceValues(func() (string, error) {
	dir := madeIn
	s, err := postgres.StartServer(context.Background(), postgres.ServerOptions{Dir: dir})
	if err != nil {
		return "", err
	}
	return dir, s.Stop(context.Background())
})

// madeDir is a pgtest.ServerDir with data in it, for the tests that are not about making them.
func madeDir(t *testing.T) string {
	t.Helper()
	dir := pgtest.ServerDir(t)
	from, err := made()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data", "sock"} {
		if out, err := exec.Command("cp", "-Rp", filepath.Join(from, name), dir).CombinedOutput(); err != nil {
			t.Fatalf("copy: %v: %s", err, out)
		}
	}
	return dir
}

func start(t *testing.T, opts postgres.ServerOptions) *postgres.Server {
	t.Helper()
	s, err := postgres.StartServer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// stop may be called again: the second time finds the server ended.
func stop(t *testing.T, s *postgres.Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func startOnFreePort(t *testing.T, dir string) *postgres.Server {
	t.Helper()
	for { // another program may take the port in between
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		listener.Close()
		s, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir, Port: port})
		if err != nil && strings.Contains(err.Error(), "is taken") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, s) })
		return s
	}
}

func portOf(t *testing.T, s *postgres.Server) string {
	t.Helper()
	u, err := url.Parse(s.TCPURL(postgres.Database))
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// startOrphan runs a server that no program of ours holds, and answers its process.
func startOrphan(t *testing.T, dir string) int {
	t.Helper()
	server := exec.Command(postgresProgram(t), "-D", filepath.Join(dir, "data"), "-k", filepath.Join(dir, "sock"), "-c", "listen_addresses=")
	server.Dir = "/"
	server.Env = []string{"LC_ALL=C"}
	server.SysProcAttr = asOwner(t, dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { server.Wait(); close(done) }()
	t.Cleanup(func() { server.Process.Kill(); <-done })
	socket := &url.URL{Scheme: "postgres", User: url.User(postgres.Role), Path: "/postgres", RawQuery: "port=5432&host=" + filepath.Join(dir, "sock")}
	await(t, "the orphan answers", func() bool {
		conn, err := pgx.Connect(t.Context(), socket.String())
		if err != nil {
			return false
		}
		conn.Close(t.Context())
		return true
	})
	return server.Process.Pid
}

// asOwner lets a process run as the account that the data in dir belong to.
func asOwner(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	stat, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if owner := stat.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	}
	return attr
}

func postgresProgram(t *testing.T) string {
	t.Helper()
	dir, err := postgres.FindBinDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "postgres")
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

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.PgConn().Conn().Close() }) // may be in use by a goroutine
	return conn
}

func execSQL(t *testing.T, url, sql string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func queryInt(t *testing.T, url, sql string) (n int) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func queryText(t *testing.T, url, sql string) (text string) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// awaitQuery waits until another session works on a query that contains text.
func awaitQuery(t *testing.T, url, text string) {
	t.Helper()
	conn := connect(t, url)
	await(t, "a session runs "+text, func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `
			select count(*)
			  from pg_stat_activity
			 where pid <> pg_backend_pid()
			   and state = 'active'
			   and position($1 in query) > 0`, text).Scan(&n)
		return err == nil && n > 0
	})
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited a minute until %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeFile keeps owner and mode of the file that is there.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err == nil {
		_, err = file.WriteString(text)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
