package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// txAttempts is how often InTx runs a transaction that Postgres aborted in favour of another one.
const txAttempts = 5

// InTx runs work in a transaction and commits it; an error of work rolls back and is returned as it
// is. When Postgres aborts the transaction because of others (serialization failure 40001, deadlock
// 40P01), the whole of work runs again, at most five times in all, so work must keep nothing from an
// earlier run and touch nothing outside the transaction.
func InTx(ctx context.Context, pool *pgxpool.Pool, work func(pgx.Tx) error) error {
	return InTxBegunBy(ctx, pool, "begin", work)
}

const commitSQL = `set /* postgres.InTx */ constraints all immediate; set local lock_timeout = 0; commit`

// InTxBegunBy is InTx with another text in place of begin. Statements may follow in it, such as set local,
// which cost no round trip of their own there.
//
// A lock_timeout set there holds until work and its deferred constraints are done, not in the commit itself:
// transactions that notify take turns in it, each until it is on disk, and a slow disk is nobody's lock.
func InTxBegunBy(ctx context.Context, pool *pgxpool.Pool, begin string, work func(pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{BeginQuery: begin, CommitQuery: commitSQL}, work)
		if err == nil || attempt == txAttempts || !abortedForOthers(err) {
			return err
		}
		// Both sides of a deadlock may be retrying: chance keeps them from meeting again.
		longest := 5 * time.Millisecond << attempt
		if pause(ctx, rand.N(longest)) != nil {
			return err
		}
	}
}

func abortedForOthers(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && (refusal.Code == "40001" || refusal.Code == "40P01")
}

// pause waits for d, or answers the error of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
