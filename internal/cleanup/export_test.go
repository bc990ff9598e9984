package cleanup

import (
	"context"

	"backoffice/internal/postgres"
)

// Total is how many rows a table is taken to have, when it is counted up to a number.
func Total(ctx context.Context, db postgres.DB, table string, countTo int) (int64, error) {
	t, err := targetOf(table)
	if err != nil {
		return 0, err
	}
	return total(ctx, db, t, countTo)
}
