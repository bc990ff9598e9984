package api

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// A request that waits for a lock holds a connection that others need: soon it is better to send it away.
const lockTimeoutSQL = `set /* api.write */ local lock_timeout = '3s'`

// write runs work in a transaction that does not wait long for what others have locked, and may run it
// again; see postgres.InTx.
func (a *API) write(ctx context.Context, work func(pgx.Tx) error) error {
	return postgres.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockTimeoutSQL); err != nil {
			return fmt.Errorf("limit the wait for locks: %w", err)
		}
		return work(tx)
	})
}
