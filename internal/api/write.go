package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// How transactions begin. What follows the begin costs no round trip of its own.
const (
	// A request that waits for a lock holds a connection that others need: soon it is better to send it away.
	// Each statement sees what was committed before it, whatever the default of the database: once relies on it.
	beginWrite = `begin /* api.write */ isolation level read committed;
set local lock_timeout = '3s'`

	// Everything in these transactions is found by key. Left to itself the server plans to read a table whole
	// that is all but empty, and a connection keeps that plan while the table grows, for up to a minute of a
	// burst of requests; and it plans anew for every list of another length, which takes longer than the work.
	beginByKey = beginWrite + `;
set local enable_seqscan = off;
set local plan_cache_mode = force_generic_plan`

	// An order that must wait, such as for another program that is storing the same number and takes its
	// time, is not to hold up those that are placed with it or after it: it is placed alone.
	beginShared = beginByKey + `;
set local lock_timeout = '100ms'`
)

// write runs work in a transaction that does not wait long for what others have locked, and may run it
// again; see postgres.InTx.
func (a *API) write(ctx context.Context, work func(pgx.Tx) error) error {
	return postgres.InTxBegunBy(ctx, a.Pool, beginWrite, work)
}
