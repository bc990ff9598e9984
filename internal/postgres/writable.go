package postgres

import (
	"context"
	"errors"
	"fmt"
)

const writableSQL = `
select /* postgres.Writable */ not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'`

// Writable is nil while the server answers and takes writes; a standby and a read-only database do not.
func Writable(ctx context.Context, db DB) error {
	var writable bool
	if err := db.QueryRow(ctx, writableSQL).Scan(&writable); err != nil {
		return fmt.Errorf("ask Postgres whether it takes writes: %w", err)
	}
	if !writable {
		return errors.New("postgres takes no writes: it is a standby, or set to read only")
	}
	return nil
}
