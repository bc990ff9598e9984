package api

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// A request that waits for a lock holds a connection that others need: soon it is better to send it away.
// Each statement sees what was committed before it, whatever the default of the database: once relies on it.
const (
	isolationSQL   = `set /* api.write */ transaction isolation level read committed`
	lockTimeoutSQL = `set /* api.write */ local lock_timeout = '3s'`
)

// write runs work in a transaction that does not wait long for what others have locked, and may run it
// again; see postgres.InTx.
func (a *API) write(ctx context.Context, work func(pgx.Tx) error) error {
	return postgres.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		settings := &pgx.Batch{}
		settings.Queue(isolationSQL)
		settings.Queue(lockTimeoutSQL)
		if err := tx.SendBatch(ctx, settings).Close(); err != nil {
			return fmt.Errorf("set up the transaction: %w", err)
		}
		return work(tx)
	})
}
