package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/audit"
)

// operate runs what an operator asked for, and writes down who did what to what in the same transaction.
func (a *API) operate(ctx context.Context, action, target, reason string, work func(pgx.Tx) error) error {
	return a.write(ctx, func(tx pgx.Tx) error {
		if err := work(tx); err != nil {
			return err
		}
		return writeDown(ctx, tx, action, target, reason)
	})
}

// writeDown writes down what the caller of a request did.
func writeDown(ctx context.Context, tx pgx.Tx, action, target, reason string) error {
	c := callOf(ctx)
	return audit.Write(ctx, tx, audit.Action{
		Actor: c.caller.Actor(), APIKeyID: c.caller.KeyID, Action: action, Target: target, Reason: reason, RequestID: c.id,
	})
}

// shownActions bounds what pages and answers tell of what operators did to one thing.
const shownActions = 50
