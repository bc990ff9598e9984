package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/audit"
)

// operate runs what an operator asked for, and writes down who did what to what in the same transaction.
func (a *API) operate(ctx context.Context, action, target, reason string, work func(pgx.Tx) error) error {
	c := callOf(ctx)
	return a.write(ctx, func(tx pgx.Tx) error {
		if err := work(tx); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Act{
			Actor: c.caller.Actor(), APIKeyID: c.caller.KeyID, Action: action, Target: target, Reason: reason, RequestID: c.id,
		})
	})
}
