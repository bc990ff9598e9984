package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveServer deletes the directory of a server that no program runs, with all its data. A server
// that a killed program left running is stopped first. ErrHeld: a living program runs it.
func RemoveServer(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := endLeftovers(ctx, dataDir(dir)); err != nil {
		return err
	}
	a, err := serverAccount(dir)
	if err != nil {
		return err
	}
	for _, path := range []string{socketDir(dir, a), dir} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove server %s: %w", dir, err)
		}
	}
	return nil
}
