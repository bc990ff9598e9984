package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// process is a child that runs one of the server programs as the account.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended
	err  error         // how it ended; read after done
}

// startProcess starts cmd as the account, in a process group of its own, so that Ctrl-C reaches only
// our program, which stops the server when its own work is done. On Linux the child is asked to stop
// when our program dies, however it dies. That request belongs to the thread that started the child,
// so one thread starts it and waits for its end.
func startProcess(cmd *exec.Cmd, a account) (*process, error) {
	cmd.Env = childEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential()}
	endWithParent(cmd.SysProcAttr)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, startError(err, cmd.Path, a)
	}
	return p, nil
}

// childEnvironment keeps what finds libraries and programs and nothing else: PGPORT, PGDATA or a
// locale of the person at the terminal must not change how the server runs.
func childEnvironment() []string {
	environment := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, found := os.LookupEnv(name); found {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

func startError(err error, path string, a account) error {
	switch {
	case a.foreign && errors.Is(err, syscall.EPERM):
		return fmt.Errorf("run %s as account %s: root may not change accounts here (no CAP_SETUID); run as an ordinary user, or allow it: %w",
			path, a.name, err)
	case a.foreign && errors.Is(err, syscall.EACCES):
		return fmt.Errorf("run %s as account %s: the account may not reach this program or the directory it runs in: %w", path, a.name, err)
	}
	return fmt.Errorf("run %s: %w", path, err)
}

// runProgram runs a short program of the server as the account and answers what it said, should it
// fail.
func runProgram(ctx context.Context, a account, dir, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	p, err := startProcess(cmd, a)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("run %s: %w", path, context.Cause(ctx))
	}
	if p.err != nil {
		return fmt.Errorf("run %s: %w: %s", path, p.err, strings.TrimSpace(said.String()))
	}
	return nil
}

// signal is harmless once the child has ended.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }
