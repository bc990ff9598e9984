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

// CommitInTurn is a pgx.TxOptions.CommitQuery for transactions whose work may set a lock_timeout. A transaction
// that notifies takes a lock of the whole server in its commit and keeps it until the commit is on disk: commits
// take turns, and a slow disk is nobody's lock. The timeout ends before the commit, which then waits for its
// turn until its context ends. Deferred constraints keep it: they are checked before that.
const CommitInTurn = `set /* postgres.Commit */ constraints all immediate; set local lock_timeout = 0; commit`

// commitSoon is CommitInTurn for transactions that somebody waits for: a turn that does not come for so long
// is refused like a lock, so that it is known that nothing was committed.
const commitSoon = `set /* postgres.Commit */ constraints all immediate; set local lock_timeout = '8s'; commit`

// InTx runs work in a transaction and commits it; an error of work rolls back and is returned as it
// is. When Postgres aborts the transaction because of others (serialization failure 40001, deadlock
// 40P01), the whole of work runs again, at most five times in all, so work must keep nothing from an
// earlier run and touch nothing outside the transaction.
func InTx(ctx context.Context, pool *pgxpool.Pool, work func(pgx.Tx) error) error {
	return inTx(ctx, pool, pgx.TxOptions{}, work)
}

// InTxBegunBy is InTx with another text in place of begin. Statements may follow in it, such as set local,
// which cost no round trip of their own there. A lock_timeout, there or in work, holds for work and its
// deferred constraints; the commit waits up to eight seconds for its turn, see CommitInTurn.
func InTxBegunBy(ctx context.Context, pool *pgxpool.Pool, begin string, work func(pgx.Tx) error) error {
	return inTx(ctx, pool, pgx.TxOptions{BeginQuery: begin, CommitQuery: commitSoon}, work)
}

func inTx(ctx context.Context, pool *pgxpool.Pool, options pgx.TxOptions, work func(pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, pool, options, work)
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
