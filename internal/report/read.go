package report

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// A report is a quiet neighbour: it compiles nothing and uses one process of the server at a time. It reads
// ranges of keys and joins them at once, whatever the statistics say: those of a table that has grown since
// promise one row where there are thousands, to be looked for anew for each of thousands.
const beginQuietly = `begin read only; set local jit = off; set local max_parallel_workers_per_gather = 0;
set local enable_seqscan = off; set local enable_nestloop = off; set local work_mem = '32MB'`

// readRows reads the rows of one short query, which sees what is committed when it begins.
func readRows[T any](ctx context.Context, db *pgxpool.Pool, row pgx.RowToFunc[T], sql string, args ...any) (found []T, err error) {
	err = postgres.InTxBegunBy(ctx, db, beginQuietly, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, row)
		return err
	})
	return found, err
}

// readRow is readRows for a query of exactly one row.
func readRow[T any](ctx context.Context, db *pgxpool.Pool, row pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	found, err := readRows(ctx, db, row, sql, args...)
	if err == nil && len(found) != 1 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		var none T
		return none, err
	}
	return found[0], nil
}
