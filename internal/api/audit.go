package api

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const auditSQL = `
insert /* api.audit */ into audit_log (actor, api_key_id, action, target, reason, request_id)
values ($1, nullif($2::bigint, 0), $3, $4, nullif($5, ''), $6)`

// operate runs what an operator asked for, and writes down who did what to what in the same transaction.
func (a *API) operate(ctx context.Context, action, target, reason string, work func(pgx.Tx) error) error {
	c := callOf(ctx)
	return a.write(ctx, func(tx pgx.Tx) error {
		if err := work(tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, auditSQL, c.caller.Actor(), c.caller.KeyID, action, target, reason, c.id); err != nil {
			return fmt.Errorf("write down %s of %s: %w", action, target, err)
		}
		return nil
	})
}
