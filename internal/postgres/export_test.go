package postgres

import "context"

// FindBinDir tells the tests where the server programs are.
func FindBinDir(ctx context.Context) (string, error) {
	b, err := findBinaries(ctx, "", 0)
	return b.dir, err
}
