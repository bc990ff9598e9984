package queue

import (
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// Client is what NewInserter returns. The names spare packages that only pass these values on an import
// of the engine.
type Client = river.Client[pgx.Tx]

// JobArgs are the args of one job, of any kind.
type JobArgs = river.JobArgs

// InsertOpts is what a caller may choose about one job: zero values leave it to the kind.
type InsertOpts = river.InsertOpts
