package queue

import (
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// Client is for tests that give a running process another queue to work.
func (p *Process) Client() *river.Client[pgx.Tx] { return p.client }

// Waiting is how many jobs of the group no committer has taken yet.
func (g *Group[T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Committing is how many committers of the group run.
func (g *Group[T]) Committing() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.committing
}
