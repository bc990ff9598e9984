package queue

import "sync/atomic"

// gate stops a process from fetching, at once and without a word to the database: a process that cannot
// prove it lives must not take jobs.
type gate struct{ closed atomic.Bool }

func (g *gate) close()       { g.closed.Store(true) }
func (g *gate) open()        { g.closed.Store(false) }
func (g *gate) isOpen() bool { return !g.closed.Load() }
