package postgres

import (
	"context"
	"errors"
	"fmt"
)

const writableSQL = `
select /* postgres.Writable */ not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'`

// ErrReadOnly is what Writable answers of a server that takes no writes.
var ErrReadOnly = errors.New("postgres takes no writes: it is a standby, or set to read only")

// Writable is nil while the server answers and takes writes; a standby and a read-only database do not
// (ErrReadOnly).
func Writable(ctx context.Context, db DB) error {
	var writable bool
	if err := db.QueryRow(ctx, writableSQL).Scan(&writable); err != nil {
		return fmt.Errorf("ask Postgres whether it takes writes: %w", err)
	}
	if !writable {
		return ErrReadOnly
	}
	return nil
}
