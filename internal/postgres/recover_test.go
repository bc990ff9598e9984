package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

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
