package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ErrForeignDir means that somebody keeps other things in the directory. Nothing is changed then.
var ErrForeignDir = errors.New("not a directory of this server")

// ownNames is what a server makes in its directory, and what others make in any: a file system of its
// own has lost+found, and macOS leaves .DS_Store.
var ownNames = []string{"data", "data.new", "lock", "password", "server.log", "server.log.1", "sock", "lost+found", ".DS_Store"}

// Check answers why StartServer would not start, as far as that can be told without making anything.
// ErrHeld: another program runs the server of Dir; ErrForeignDir: Dir is where somebody keeps other things;
// ErrNoBinaries: PostgreSQL is not installed.
func Check(ctx context.Context, opts ServerOptions) error {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return err
	}
	if err := checkContents(dir); err != nil {
		return err
	}
	if h, held := runningHolder(dir); held {
		return heldBy(dir, h)
	}
	major, err := dataVersion(dir)
	if err != nil {
		return err
	}
	_, err = findBinaries(ctx, opts.BinDir, major)
	return err
}

// checkContents refuses a directory in which somebody keeps other things than a server of ours. One that
// has been such a server's stays it, whatever was put there or deleted since.
func checkContents(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unusable(dir, err)
	}
	if wasHeld(dir) {
		return nil
	}
	for _, entry := range entries {
		if !slices.Contains(ownNames, entry.Name()) {
			return fmt.Errorf("--data-dir %s is %w: it holds %q; name a directory that is empty or does not exist yet", dir, ErrForeignDir, entry.Name())
		}
	}
	return nil
}

// unusable says that nothing can be kept in a directory.
func unusable(dir string, cause error) error {
	return fmt.Errorf("--data-dir %s cannot be made or written (%w); name another directory", dir, cause)
}
