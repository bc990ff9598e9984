package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/queue"
)

// fault is what befalls a worker process.
type fault string

const (
	faultKill    fault = "killed"            // kill -9; another process takes its place at once
	faultFreeze  fault = "frozen until dead" // stopped until declared dead, then woken: it must end by itself
	faultStutter fault = "frozen briefly"    // stopped for less than the limit: it goes on
)

// faults are drawn from here.
var faults = []fault{faultKill, faultKill, faultFreeze, faultStutter}

// crew keeps a number of worker processes running while faults befall them.
type crew struct {
	program   func(args ...string) *exec.Cmd // prepares a run of the program
	pool      *pgxpool.Pool
	url       string
	size      int
	flags     []string
	every     time.Duration // between two faults, on average
	deadAfter time.Duration // of the flags
	unguarded bool          // how its processes end proves nothing

	ctx      context.Context // ends with the test
	random   *rand.Rand      // for the faults
	places   []*place
	work     errgroup.Group
	failed   chan error    // what work answers, as soon as it does
	freezing atomic.Bool   // a process is frozen until it is declared dead: one at a time
	stop     chan struct{} // closed: every process is to end well
}

// place is where one worker process after the other works.
type place struct {
	crew   *crew
	faults chan fault // received only while a process that can take one is there
	random *rand.Rand
	ended  []string // how processes ended that nobody had touched
}

// start fills the places.
func (c *crew) start(ctx context.Context, seed uint64) {
	c.ctx, c.stop, c.random = ctx, make(chan struct{}), rand.New(rand.NewPCG(seed, 0))
	c.failed = make(chan error, c.size)
	for i := range c.size {
		p := &place{crew: c, faults: make(chan fault), random: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		c.places = append(c.places, p)
		c.work.Go(func() error {
			err := p.keep()
			if err != nil {
				c.failed <- err
			}
			return err
		})
	}
}

// finish ends every process and answers what went wrong with any of them at any time, and how those
// ended that nobody had touched.
func (c *crew) finish() (ended []string, err error) {
	close(c.stop)
	err = c.work.Wait()
	for _, p := range c.places {
		ended = append(ended, p.ended...)
	}
	return ended, err
}

// trouble is what went wrong with a process, whose place is empty since.
func (c *crew) trouble() error {
	select {
	case err := <-c.failed:
		return err
	default:
		return nil
	}
}

// harm lets faults befall the crew until ctx ends, and counts them.
func (c *crew) harm(ctx context.Context) map[fault]int {
	count := map[fault]int{}
	for {
		pause := time.Duration(c.random.Int64N(int64(2 * c.every)))
		kind, victim := faults[c.random.IntN(len(faults))], c.random.IntN(len(c.places))
		select {
		case <-ctx.Done():
			return count
		case <-time.After(pause): // faults come at random
		}
		// Somebody must be there to declare the frozen one dead.
		if kind == faultFreeze && !c.freezing.CompareAndSwap(false, true) {
			kind = faultKill
		}
		if !c.strike(ctx, kind, victim) {
			return count
		}
		count[kind]++
	}
}

// strike finds the first process from victim on that can take the fault, waiting for one if need be.
func (c *crew) strike(ctx context.Context, kind fault, victim int) bool {
	for {
		for i := range c.places {
			select {
			case c.places[(victim+i)%len(c.places)].faults <- kind:
				return true
			default:
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pollEvery):
		}
	}
}

const pollEvery = 20 * time.Millisecond

// keep replaces each process that ended by the next until the crew is told to stop.
func (p *place) keep() error {
	for {
		w, err := p.crew.launch()
		if err != nil {
			return err
		}
		done, err := p.watch(w)
		if err != nil {
			return fmt.Errorf("worker process %d: %w; its log:\n%s", w.Process.Pid, err, w.log())
		}
		if done {
			return nil
		}
	}
}

// watch stays with a process until it has ended; done is true when it was told to.
func (p *place) watch(w *workerRun) (done bool, err error) {
	if err := p.await(w, "it is registered", p.registered(w)); err != nil {
		return false, p.untouched(w, err)
	}
	for {
		select {
		case <-w.ended:
			return false, p.untouched(w, errEnded)
		case <-p.crew.stop:
			return true, p.end(w)
		case kind := <-p.faults:
			over, err := p.suffer(w, kind)
			if over || err != nil {
				return false, err
			}
		}
	}
}

// untouched notes the end of a process that no fault had befallen. On a busy machine one may be late
// with its heartbeat and be taken for dead; it must say so.
func (p *place) untouched(w *workerRun, cause error) error {
	if !errors.Is(cause, errEnded) {
		return cause
	}
	said := w.lastLine()
	p.ended = append(p.ended, said)
	if p.crew.unguarded || gaveUp(said) {
		return nil
	}
	return errors.New("it ended by itself")
}

// gaveUp tells from the last words of a process that it ended because it could not prove that it lives.
func gaveUp(said string) bool {
	return strings.Contains(said, queue.ErrDeclaredDead.Error()) || strings.Contains(said, queue.ErrLifeUnproven.Error())
}

// end asks a process to stop, which it must do well.
func (p *place) end(w *workerRun) error {
	if err := w.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := w.wait(); err != nil {
		return err
	}
	if code := w.ProcessState.ExitCode(); code != exitOK && !p.crew.unguarded {
		return fmt.Errorf("it was asked to stop and ended with exit code %d", code)
	}
	return nil
}

// suffer brings the fault over a process; over is true when the process has ended of it.
func (p *place) suffer(w *workerRun, kind fault) (over bool, err error) {
	switch kind {
	case faultKill:
		if err := w.Process.Kill(); err != nil {
			return false, err
		}
		return true, w.wait()
	case faultStutter:
		return false, p.freeze(w, func() error { return p.pause(p.crew.deadAfter / 2) })
	default:
		return true, p.freezeToDeath(w)
	}
}

// freezeToDeath stops a process until it is declared dead, half-way through its reaping or after it. Then
// it must find out and end.
func (p *place) freezeToDeath(w *workerRun) error {
	defer p.crew.freezing.Store(false)
	err := p.freeze(w, func() error {
		if err := p.await(w, "it is declared dead", p.declaredDead(w)); err != nil {
			return err
		}
		return p.pause(time.Second)
	})
	if err != nil {
		return err
	}
	return p.diesWoken(w)
}

// freeze stops a process until the given time has come.
func (p *place) freeze(w *workerRun, until func() error) error {
	if err := w.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := until(); err != nil {
		return err
	}
	return w.Process.Signal(syscall.SIGCONT)
}

// pause takes a random time up to longest.
func (p *place) pause(longest time.Duration) error {
	select {
	case <-time.After(time.Duration(p.random.Int64N(int64(longest)))):
		return nil
	case <-p.crew.ctx.Done():
		return p.crew.ctx.Err()
	}
}

// diesWoken waits until a process that was declared dead has ended, and says so.
func (p *place) diesWoken(w *workerRun) error {
	if err := w.wait(); err != nil {
		return err
	}
	code, said := w.ProcessState.ExitCode(), w.lastLine()
	tooLate := strings.Contains(said, "start worker") // it was frozen before it took any job, and its start has timed out
	if (code != exitFailed || !gaveUp(said) && !tooLate) && !p.crew.unguarded {
		return fmt.Errorf("it was woken after it was declared dead and ended with exit code %d and %q", code, said)
	}
	return nil
}

// registered tells whether others see the process.
func (p *place) registered(w *workerRun) func() (bool, error) {
	return p.found(`select exists (select from worker_processes where pid = $1 and declared_dead_at is null)`, w)
}

// declaredDead tells whether others have declared the process dead.
func (p *place) declaredDead(w *workerRun) func() (bool, error) {
	return p.found(`select not exists (select from worker_processes where pid = $1 and declared_dead_at is null)`, w)
}

func (p *place) found(sql string, w *workerRun) func() (bool, error) {
	return func() (found bool, err error) {
		err = p.crew.pool.QueryRow(p.crew.ctx, sql, w.Process.Pid).Scan(&found)
		return found, err
	}
}

// await asks ok again and again until it answers true.
func (p *place) await(w *workerRun, what string, ok func() (bool, error)) error {
	late := time.After(patience)
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-w.ended:
			return errEnded
		case <-late:
			return fmt.Errorf("waited %s until %s: it did not happen", patience, what)
		case <-time.After(pollEvery):
		}
	}
}
