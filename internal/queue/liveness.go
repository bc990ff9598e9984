package queue

import (
	"errors"
	"time"
)

// Why a worker process must end although nobody asked it to.
var (
	// ErrDeclaredDead means that another process declared this one dead: its jobs run elsewhere.
	ErrDeclaredDead = errors.New("declared dead")
	// ErrLifeUnproven means that the process could not prove that it lives for longer than its self-limit.
	ErrLifeUnproven = errors.New("life unproven")
	// ErrReadOnly means that the process's Postgres takes no writes any more, as after a failover.
	ErrReadOnly = errors.New("postgres is read-only")
)

// Liveness says how a process proves that it lives and from when it counts as dead.
type Liveness struct {
	Beat      time.Duration // between two heartbeats
	DeadAfter time.Duration // the limit: a process whose last heartbeat is older is dead to the others
	SelfLimit time.Duration // a process that cannot prove it lives for this long ends itself; below DeadAfter
}

// DefaultLiveness suits a network without long pauses.
var DefaultLiveness = Liveness{Beat: time.Second, DeadAfter: 10 * time.Second, SelfLimit: 5 * time.Second}
