package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// holdEnv makes this test binary a program that starts a server on the directory named in it and holds
// it until killed: the program that dies in these tests.
const holdEnv = "BACKOFFICE_TEST_HOLD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		os.Exit(hold(dir))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "backoffice-pg-made-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // the server's account passes
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	madeIn = dir
	return m.Run()
}

func hold(dir string) int {
	s, err := postgres.StartServer(context.Background(), postgres.ServerOptions{Dir: dir, Durable: true})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("running", s.PID())
	<-s.Exited()
	return 0
}

func TestServerKeepsItsDataBetweenStarts(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	first := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, first.URL(postgres.Database), "create table kept as select 42 as n")
	stop(t, first)
	second := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	if n := queryInt(t, second.URL(postgres.Database), "select n from kept"); n != 42 {
		t.Errorf("kept %d, want 42", n)
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	durable := start(t, postgres.ServerOptions{Dir: serverDir(t), Durable: true}).URL(postgres.Database)
	fast := start(t, postgres.ServerOptions{Dir: serverDir(t), MaxConnections: 33}).URL(postgres.Database)
	for _, tc := range []struct{ rule, url, setting, want string }{
		{"a durable server syncs", durable, "fsync", "on"},
		{"a durable server waits for the disk", durable, "synchronous_commit", "on"},
		{"a durable server writes full pages", durable, "full_page_writes", "on"},
		{"200 connections by default", durable, "max_connections", "200"},
		{"no port unless asked for", durable, "listen_addresses", ""},
		{"sessions are in UTC", durable, "TimeZone", "UTC"},
		{"text is UTF-8", durable, "server_encoding", "UTF8"},
		{"a server for tests does not sync", fast, "fsync", "off"},
		{"connections as asked for", fast, "max_connections", "33"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if got := queryText(t, tc.url, "select current_setting('"+tc.setting+"')"); got != tc.want {
				t.Errorf("%s = %q, want %q", tc.setting, got, tc.want)
			}
		})
	}
}

func TestSecondStartIsRefusedAndNamesTheHolder(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir, Durable: true})
	if !errors.Is(err, postgres.ErrHeld) {
		t.Fatalf("second start: %v, want ErrHeld", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d ", os.Getpid()), time.Now().UTC().Format(" since 2006-01-")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if err := postgres.RemoveServer(t.Context(), dir); !errors.Is(err, postgres.ErrHeld) {
		t.Errorf("remove a running server: %v, want ErrHeld", err)
	}
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestRunningURLFindsOnlyAServerThatRuns(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	if url, ok := postgres.RunningURL(dir); ok {
		t.Errorf("found %q where nothing was started", url)
	}
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	url, ok := postgres.RunningURL(dir)
	if want := s.URL(postgres.Database); !ok || url != want {
		t.Errorf("RunningURL = %q, %v; want %q", url, ok, want)
	}
	stop(t, s)
	if url, ok := postgres.RunningURL(dir); ok {
		t.Errorf("found %q after the stop", url)
	}
}

func TestKilledServerRecovers(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "create table kept as select 42 as n")
	busy := connect(t, s.URL(postgres.Database))
	go busy.Exec(context.Background(), "select count(*) from generate_series(1, 1e12::bigint)") // does not look up from its work
	awaitQuery(t, s.URL(postgres.Database), "generate_series")
	kill(t, s.PID())
	<-s.Exited()
	stop(t, s)
	again := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	if n := queryInt(t, again.URL(postgres.Database), "select n from kept"); n != 42 {
		t.Errorf("kept %d, want 42", n)
	}
}

func TestServerOfAKilledProgramEnds(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	program, server := startHolder(t, dir)
	url, ok := postgres.RunningURL(dir)
	if !ok {
		t.Fatal("the server of another program is not found")
	}
	execSQL(t, url, "create table kept as select 42 as n")
	kill(t, program.Process.Pid)
	program.Wait()
	if runtime.GOOS == "linux" { // elsewhere the next start ends it
		await(t, "the server ends by itself", func() bool { return !lives(server) })
	}
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	if n := queryInt(t, s.URL(postgres.Database), "select n from kept"); n != 42 {
		t.Errorf("kept %d, want 42", n)
	}
	if lives(server) {
		t.Errorf("the server of the killed program, process %d, lives on", server)
	}
}

func TestProgramAndServerKilledTogether(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	program, server := startHolder(t, dir)
	url, _ := postgres.RunningURL(dir)
	execSQL(t, url, "create table kept as select 42 as n")
	kill(t, server)
	kill(t, program.Process.Pid)
	program.Wait()
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	if n := queryInt(t, s.URL(postgres.Database), "select n from kept"); n != 42 {
		t.Errorf("kept %d, want 42", n)
	}
}

// An orphan is what a killed program leaves on systems that cannot tie the server to it.
func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	orphan := startOrphan(t, dir)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	if lives(orphan) {
		t.Errorf("the orphan, process %d, lives on", orphan)
	}
	execSQL(t, s.URL(postgres.Database), "select 1")
}

// The number of a dead server may have been given to another process, and where nobody reaps the dead
// it seems to live for ever.
func TestStaleLockFileNamingALivingProcess(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	pidFile := filepath.Join(dir, "data", "postmaster.pid")
	left := readFile(t, pidFile)
	kill(t, s.PID())
	<-s.Exited()
	stop(t, s)
	innocent := exec.Command("sleep", "600")
	innocent.Dir = "/"
	innocent.SysProcAttr = asOwner(t, dir) // Postgres cares for processes of its own account only
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { innocent.Process.Kill(); innocent.Wait() })
	_, rest, _ := strings.Cut(left, "\n")
	writeFile(t, pidFile, fmt.Sprintf("%d\n%s", innocent.Process.Pid, rest))
	again := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, again.URL(postgres.Database), "select 1")
	if !lives(innocent.Process.Pid) {
		t.Error("the process whose number stood in the lock file was ended")
	}
}

func TestHalfMadeDataIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestDataOfAnotherVersionIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	version := filepath.Join(dir, "data", "PG_VERSION")
	made := readFile(t, version)
	writeFile(t, version, "9\n")
	_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir, Durable: true})
	if !errors.Is(err, postgres.ErrOtherVersion) || !strings.Contains(err.Error(), "Postgres 9,") {
		t.Fatalf("start: %v, want ErrOtherVersion and the version", err)
	}
	writeFile(t, version, made)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestRootRunsTheServerAsTheOwnerOfItsData(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("runs as root only")
	}
	dir := madeDir(t)
	if out, err := exec.Command("chown", "-R", "nobody", filepath.Join(dir, "data"), filepath.Join(dir, "sock")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	s := start(t, postgres.ServerOptions{Dir: dir})
	for what, path := range map[string]string{"the server": fmt.Sprintf("/proc/%d", s.PID()), "the data": filepath.Join(dir, "data")} {
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		uid := strconv.Itoa(int(stat.Sys().(*syscall.Stat_t).Uid))
		if owner, err := user.LookupId(uid); err != nil || owner.Username != "nobody" {
			t.Errorf("%s belongs to %s, want nobody", what, uid)
		}
	}
}

func TestUnusableDirectoryIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	t.Run("data that is no data directory is left alone", func(t *testing.T) {
		t.Parallel()
		dir := serverDir(t)
		precious := filepath.Join(dir, "data", "precious")
		if err := os.MkdirAll(precious, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no data directory of Postgres") {
			t.Errorf("start: %v", err)
		}
		if _, err := os.Stat(precious); err != nil {
			t.Error(err)
		}
	})
	t.Run("root is told which directory the account may not enter", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("runs as root only")
		}
		private := serverDir(t)
		if err := os.Chmod(private, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: filepath.Join(private, "pg")})
		if err == nil || !strings.Contains(err.Error(), "may not enter "+private) {
			t.Errorf("start: %v", err)
		}
	})
}

func TestLongDirectoryPutsItsSocketElsewhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(serverDir(t), strings.Repeat("long/", 20))
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
	if url, ok := postgres.RunningURL(dir); !ok || url != s.URL(postgres.Database) {
		t.Errorf("RunningURL = %q, %v", url, ok)
	}
	stop(t, s)
	if err := postgres.RemoveServer(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

func TestDirectoryNameNeedsNoCare(t *testing.T) {
	t.Parallel()
	s := start(t, postgres.ServerOptions{Dir: filepath.Join(serverDir(t), `a, "b" & c=d%20+e`), Durable: true})
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	for _, name := range []string{"sock", "data"} {
		stat, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := stat.Mode().Perm(); mode != 0o700 {
			t.Errorf("%s is %o, want 700", name, mode)
		}
	}
}

func TestPort(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := startOnFreePort(t, dir)
	if n := queryInt(t, s.TCPURL(postgres.Database), "select 42"); n != 42 {
		t.Errorf("answered %d, want 42", n)
	}
	t.Run("the socket answers too", func(t *testing.T) {
		execSQL(t, s.URL(postgres.Database), "select 1")
	})
	t.Run("no password, no entry", func(t *testing.T) {
		config, err := pgx.ParseConfig(s.TCPURL(postgres.Database))
		if err != nil {
			t.Fatal(err)
		}
		config.Password = "wrong"
		if _, err := pgx.ConnectConfig(t.Context(), config); err == nil {
			t.Error("entered with a wrong password")
		}
	})
	t.Run("only its owner may read the password", func(t *testing.T) {
		stat, err := os.Stat(filepath.Join(dir, "password"))
		if err != nil {
			t.Fatal(err)
		}
		if mode := stat.Mode().Perm(); mode != 0o600 {
			t.Errorf("password is %o, want 600", mode)
		}
	})
	t.Run("a taken port is named with the cure", func(t *testing.T) {
		port, err := strconv.Atoi(portOf(t, s))
		if err != nil {
			t.Fatal(err)
		}
		_, err = postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: madeDir(t), Port: port})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d of 127.0.0.1 is taken", port)) {
			t.Errorf("start: %v", err)
		}
	})
	t.Run("the password is kept", func(t *testing.T) {
		before := s.TCPURL(postgres.Database)
		port, _ := strconv.Atoi(portOf(t, s))
		stop(t, s)
		again := start(t, postgres.ServerOptions{Dir: dir, Port: port})
		if after := again.TCPURL(postgres.Database); after != before {
			t.Errorf("TCPURL changed from %s to %s", before, after)
		}
		execSQL(t, again.TCPURL(postgres.Database), "select 1")
	})
}

func TestLogIsPutAsideWhenLarge(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, postgres.ServerOptions{Dir: dir})
	stop(t, s)
	if err := os.Truncate(s.LogFile(), 9<<20); err != nil {
		t.Fatal(err)
	}
	start(t, postgres.ServerOptions{Dir: dir})
	stat, err := os.Stat(s.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	if stat.Size() > 1<<20 {
		t.Errorf("log still has %d bytes", stat.Size())
	}
	if _, err := os.Stat(s.LogFile() + ".1"); err != nil {
		t.Error(err)
	}
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.StartServer(ctx, postgres.ServerOptions{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v, want context.Canceled", err)
	}
	s := start(t, postgres.ServerOptions{Dir: dir})
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestRemoveServerLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	orphan := startOrphan(t, dir)
	if err := postgres.RemoveServer(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("stat %s: %v, want it gone", dir, err)
	}
	if lives(orphan) {
		t.Errorf("the orphan, process %d, lives on", orphan)
	}
}

// startHolder runs a server in another program and answers that program and the server's process.
func startHolder(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(), holdEnv+"="+dir)
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Process.Kill(); program.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, scanned := fmt.Sscanf(line, "running %d", &pid); err != nil || scanned != nil {
		t.Fatalf("the other program said %q (%v)", line, err)
	}
	return program, pid
}

// kill ends a process as a crash would.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
