package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// workerRun is one worker process.
type workerRun struct {
	*exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{} // closed once Wait has returned
}

// launch starts a worker process.
func (c *crew) launch() (*workerRun, error) {
	w := &workerRun{ended: make(chan struct{})}
	w.Cmd = c.program(append([]string{"worker", "--database-url", c.url, "--log-level", "warn"}, c.flags...)...)
	w.Stderr = &w.stderr
	if err := w.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = w.Wait() // ProcessState tells
		close(w.ended)
	}()
	return w, nil
}

var errEnded = errors.New("it has ended")

// patience is generous: only a process that has been there for a while declares another dead, and while
// most are killed early that takes time.
const patience = 3 * time.Minute

// wait waits until the process has ended, however it does.
func (w *workerRun) wait() error {
	select {
	case <-w.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("waited %s until it ends: it did not happen", patience)
	}
}

// log is what the process wrote, once it has ended.
func (w *workerRun) log() string {
	_ = w.Process.Kill() // one that is there still is of no more use
	<-w.ended
	return w.stderr.String()
}

// lastLine is the last that an ended process wrote.
func (w *workerRun) lastLine() string {
	lines := strings.Split(strings.TrimSpace(w.stderr.String()), "\n")
	return lines[len(lines)-1]
}
