package queue

import (
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// Client is for tests that give a running process another queue to work.
func (p *Process) Client() *river.Client[pgx.Tx] { return p.client }
