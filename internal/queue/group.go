package queue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"
)

// GroupConfig bounds how the jobs of a Group share transactions.
type GroupConfig struct {
	Size       int           // most jobs of one transaction; at least 1
	Committers int           // transactions in flight at once, each on a connection of the pool; at least 1
	Wait       time.Duration // how long a transaction that is not full may wait for more jobs; 0: not at all
}

// DefaultGroup suits a machine of a few cores. More committers than Postgres has cores gain nothing, and
// wait for each other where popular products are.
func DefaultGroup() GroupConfig { return GroupConfig{Size: 200, Committers: 2} }

// Verdict is what became of one item of a group: its job's final state, or the error that only this
// job fails with. A failed item must have changed nothing: the transaction commits for the others.
type Verdict struct {
	Outcome Outcome
	Err     error
}

// GroupWork does the work of several jobs in one transaction, which it neither commits nor rolls back,
// and answers one Verdict per item, in order. Like the work of InJobTx it calls nothing outside. An
// error of its own rolls everything back: the items are then split and tried again, a lone one as it is,
// and failed is the error that the last try of these items ended with, nil at first.
type GroupWork[T any] func(ctx context.Context, tx *GroupTx, items []T, failed error) ([]Verdict, error)

// Blameless marks an error of the work as no item's fault, such as stock that others took meanwhile: the
// same items are tried once more together before they are split.
func Blameless(err error) error { return blameless{err} }

type blameless struct{ error }

func (b blameless) Unwrap() error { return b.error }

// Group lets many jobs of one kind share a transaction and its commit. A committer takes what is there,
// up to Size, whenever it is free: a lone job commits at once, and the busier the queue the more jobs
// share a commit. For each job it keeps what InJobTx promises: effects and final state commit together
// or not at all, and only while the attempt is current.
//
// A job never pays for another one. Attempts that are lost are left out; a job whose context ends is left
// out and the others run again without it; when the work fails the jobs are halved until exactly those
// that fail by themselves are left, each with its own error.
type Group[T any] struct {
	pool *pgxpool.Pool
	cfg  GroupConfig
	work GroupWork[T]
	full chan struct{} // a signal for a committer that waits for more jobs

	mu         sync.Mutex
	waiting    []*member[T]
	committing int // committers running
}

// NewGroup returns a group without jobs. Its committers run only while there are jobs, and end before
// the last of these is answered or just after.
func NewGroup[T any](pool *pgxpool.Pool, cfg GroupConfig, work GroupWork[T]) *Group[T] {
	cfg.Size, cfg.Committers = max(cfg.Size, 1), max(cfg.Committers, 1)
	return &Group[T]{pool: pool, cfg: cfg, work: work, full: make(chan struct{}, cfg.Committers)}
}

// member is one attempt of a job in the group.
type member[T any] struct {
	ctx    context.Context
	job    *rivertype.JobRow
	item   T
	answer chan error // one answer each time the member joins

	interrupt context.CancelFunc // ends the transaction it is part of, if any; guarded by the group's mu

	outcome Outcome // its job's final state, if the transaction commits
	sent    bool    // a commit with this outcome was sent, and its answer got lost
}

// Work runs the group's work for item and gives job its final state, together with other jobs. It
// answers nil once that is committed, ErrAttemptLost when the attempt was no longer ours, and any other
// error for River to record. It waits for the transaction in hand even when ctx ends, and ends it.
func (g *Group[T]) Work(ctx context.Context, job *rivertype.JobRow, item T) error {
	if job.AttemptedAt == nil {
		return fmt.Errorf("fence job %d: it was never attempted", job.ID)
	}
	m := &member[T]{ctx: ctx, job: job, item: item, answer: make(chan error, 1)}
	for {
		g.join(m)
		err := g.await(m)
		switch panicked := (*workPanic)(nil); {
		case err == nil:
			noteOutcome(ctx, m.outcome)
			return nil
		case errors.Is(err, errRowHeld) && wait(ctx, rowHeldPause) == nil:
			continue
		case errors.As(err, &panicked):
			panic(panicked.String()) // in the job's own goroutine, where River expects it
		default:
			return stopped(ctx, err)
		}
	}
}

// rowHeldPause is how long a job whose row somebody else has locked stays out of the group.
const rowHeldPause = 100 * time.Millisecond

// wait lets d pass, or answers the error of ctx when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// join adds a member and sees to it that a committer takes it.
func (g *Group[T]) join(m *member[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, m)
	switch {
	case g.committing < g.cfg.Committers:
		g.committing++
		go g.commit()
	case len(g.waiting) >= g.cfg.Size:
		select {
		case g.full <- struct{}{}:
		default:
		}
	}
}

// await waits for the member's answer. When its context ends first it leaves: by ending the transaction
// that it is part of, or at once if it is part of none.
func (g *Group[T]) await(m *member[T]) error {
	select {
	case err := <-m.answer:
		return err
	case <-m.ctx.Done():
	}
	if g.leave(m) {
		return <-m.answer
	}
	select {
	case err := <-m.answer: // it was there already
		return err
	default:
		return m.ctx.Err()
	}
}

// leave ends the transaction that the member is part of, if any, and reports whether there was one.
func (g *Group[T]) leave(m *member[T]) (inTransaction bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := slices.Index(g.waiting, m); at >= 0 {
		g.waiting = slices.Delete(g.waiting, at, at+1)
	}
	if m.interrupt == nil {
		return false
	}
	m.interrupt()
	return true
}

// commit is one committer: it works as long as there are jobs.
func (g *Group[T]) commit() {
	for {
		members := g.take()
		if members == nil {
			return
		}
		fresh, snoozed, failed := apart(members)
		g.settle(fresh, nil)
		g.settle(snoozed, ErrSnoozed)
		g.settle(failed, nil)
	}
}

// ErrSnoozed is what the last try of items failed with whose jobs were snoozed before: the work may spare
// them, and others, another wait.
var ErrSnoozed = errors.New("snoozed before")

// apart separates the jobs that were snoozed, and those that have failed before or were in a process that
// died, from the others, so that a job which cannot get on holds others up once and not at every attempt.
func apart[T any](members []*member[T]) (fresh, snoozed, failed []*member[T]) {
	for _, m := range members {
		switch {
		case bytes.Contains(m.job.Metadata, []byte(`"snoozes"`)):
			snoozed = append(snoozed, m)
		case len(m.job.Errors) > 0:
			failed = append(failed, m)
		default:
			fresh = append(fresh, m)
		}
	}
	return fresh, snoozed, failed
}

// take answers the jobs of the next transaction in the order of their ids, or nil when none waits and
// the committer is to end.
func (g *Group[T]) take() []*member[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.waiting); g.cfg.Wait > 0 && n > 0 && n < g.cfg.Size {
		g.mu.Unlock()
		select {
		case <-g.full:
		case <-time.After(g.cfg.Wait):
		}
		g.mu.Lock()
	}
	n := min(len(g.waiting), g.cfg.Size)
	if n == 0 {
		g.committing--
		return nil
	}
	members := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	slices.SortFunc(members, func(a, b *member[T]) int { return cmp.Compare(a.job.ID, b.job.ID) })
	return members
}

// settle answers every one of the members, in one transaction if it can be.
func (g *Group[T]) settle(members []*member[T], failed error) {
	for {
		members = g.withoutThoseWhoLeft(members)
		if len(members) == 0 {
			return
		}
		err := g.try(members, failed)
		switch n := len(members); {
		case err == nil:
			return
		case slices.ContainsFunc(members, (*member[T]).left):
			continue // ended by those who left: run again without them
		case failed == nil && errors.As(err, new(blameless)):
			failed = err
			continue
		case n > 1 && !errors.Is(err, errNoServer):
			g.settle(members[:n/2], err)
			g.settle(members[n/2:], err)
			return
		case failed == nil && !errors.Is(err, errNoServer):
			failed = err
			continue // the work may go about it in another way, as it does when others fail beside it
		}
		for _, m := range members {
			m.answer <- err
		}
		return
	}
}

func (m *member[T]) left() bool { return m.ctx.Err() != nil }

// withoutThoseWhoLeft answers the members whose context has ended, should they still wait for it, and
// returns the others.
func (g *Group[T]) withoutThoseWhoLeft(members []*member[T]) []*member[T] {
	staying := make([]*member[T], 0, len(members))
	for _, m := range members {
		if m.left() {
			m.answer <- m.ctx.Err()
		} else {
			staying = append(staying, m)
		}
	}
	return staying
}

// interruptible answers a context that ends when one of the members leaves.
func (g *Group[T]) interruptible(members []*member[T]) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background()) // ended by each member's own context
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range members {
		m.interrupt = cancel
		if m.left() { // before it could know whom to interrupt
			cancel()
		}
	}
	return ctx, cancel
}
