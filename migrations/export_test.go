package migrations

import (
	"context"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
)

// LockKey is the advisory lock that Up takes.
const LockKey = lockKey

// Files are the embedded SQL files.
var Files fs.FS = files

// UpFrom is Up with other files than the embedded ones.
func UpFrom(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS, report func(string)) error {
	return upFrom(ctx, pool, fsys, report)
}
