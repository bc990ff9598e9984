package cleanup

import (
	"context"

	"backoffice/internal/postgres"
)

// ExpiredSQL counts the old rows of a table that nobody holds: $1 is the cutoff, $2 up to how many.
func ExpiredSQL(table string) (string, error) {
	t, err := targetOf(table)
	return t.sql(expiredSQL), err
}

// Total is how many rows a table is taken to have, when it is counted up to a number.
func Total(ctx context.Context, db postgres.DB, table string, countTo int) (int64, error) {
	t, err := targetOf(table)
	if err != nil {
		return 0, err
	}
	return total(ctx, db, t, countTo)
}
