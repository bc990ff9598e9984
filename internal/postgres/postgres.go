// Package postgres is how Backoffice reaches Postgres: a pool with sane limits, transactions that are
// retried when Postgres says so, and a server of its own for `backoffice dev` and the tests, made from
// the PostgreSQL programs installed on the machine. No table, no migration and no rule of the business
// lives here. The server needs a unix: Linux or macOS.
package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is what a query needs. *pgxpool.Pool, *pgxpool.Conn, *pgx.Conn and pgx.Tx satisfy it, so that one
// function serves inside and outside a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}
