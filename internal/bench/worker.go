package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// workerArgs start the worker process of the order scenarios; its group commit is as it comes.
var workerArgs = []string{"worker", "--queue", "orders=1000"}

// untilEmpty makes a worker process end when no unfinished job is left, once when none is due.
const (
	untilEmpty = "--until-empty"
	once       = "--once"
)

// work runs worker processes at the same time, until all have ended by themselves, and answers how long
// that took from the start of the first.
func (l *Lab) work(ctx context.Context, db *Database, processes int, until string) (wall time.Duration, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // of the others, when one fails
	started := time.Now()
	ended := make(chan error, processes)
	for range processes {
		program := l.Backoffice(ctx, db, append(slices.Clone(workerArgs), until, "--log-format", "json", "--log-level", "warn")...)
		go func() { ended <- run(program) }()
	}
	for range processes {
		if failed := <-ended; failed != nil && err == nil {
			err = failed
			stop()
		}
	}
	return time.Since(started), err
}

// run runs a child process; its error holds the end of what it wrote.
func run(program *exec.Cmd) error {
	var wrote bytes.Buffer
	program.Stdout, program.Stderr = &wrote, &wrote
	if err := program.Run(); err != nil {
		return fmt.Errorf("backoffice %s: %w: %s", strings.Join(program.Args[1:], " "), err, tail(wrote.String()))
	}
	return nil
}

// tail is the end of a text, in one line.
func tail(text string) string {
	const most = 500
	text = strings.Join(strings.Fields(text), " ")
	return text[max(0, len(text)-most):]
}

// lasting is a worker process that goes on until it is stopped.
type lasting struct {
	program *exec.Cmd
	rest    bytes.Buffer  // of its log, what is no outcome: for an error
	read    chan struct{} // closed when the log has ended
}

// startLasting starts a worker process and reports each completed job from its log, whose line is written
// after the commit. It returns when the process takes jobs.
func (l *Lab) startLasting(ctx context.Context, db *Database, report func(passage), args ...string) (*lasting, error) {
	p := &lasting{program: l.Backoffice(ctx, db, append(args, "--log-format", "json", "--log-level", "info")...), read: make(chan struct{})}
	log, err := p.program.StderrPipe()
	if err == nil {
		err = p.program.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start a worker process: %w", err)
	}
	started := make(chan struct{})
	go func() {
		defer close(p.read)
		readLog(log, &p.rest, func() { close(started) }, report)
	}()
	select {
	case <-started:
		return p, nil
	case <-p.read:
		return nil, errors.Join(errors.New("a worker process ended at once"), p.wait())
	}
}

func (p *lasting) pid() int { return p.program.Process.Pid }

// stop asks the process to stop and waits for its end.
func (p *lasting) stop() error {
	return errors.Join(p.program.Process.Signal(syscall.SIGTERM), p.wait())
}

func (p *lasting) wait() error {
	<-p.read // first: Wait closes the pipe
	if err := p.program.Wait(); err != nil {
		return fmt.Errorf("worker process: %w: %s", err, tail(p.rest.String()))
	}
	return nil
}

// logLine is what is read of a worker process's log.
type logLine struct {
	Time  time.Time `json:"time"`
	Msg   string    `json:"msg"`
	JobID int64     `json:"job_id"`
	Took  string    `json:"took"` // a Duration, such as 3.082ms
}

// readLog reads a worker process's log to its end.
func readLog(log io.Reader, rest *bytes.Buffer, started func(), report func(passage)) {
	lines := bufio.NewReader(log)
	for {
		text, err := lines.ReadString('\n')
		var line logLine
		_ = json.Unmarshal([]byte(text), &line) // what is no line of the log goes to the rest
		took, unread := time.ParseDuration(line.Took)
		switch {
		case line.Msg == "job completed" && unread == nil:
			report(passage{jobID: line.JobID, begun: line.Time.Add(-took), committed: line.Time})
		case line.Msg == "worker started":
			started()
		case strings.TrimSpace(text) != "":
			rest.WriteString(text)
		}
		if err != nil {
			return
		}
	}
}
