package render

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A folder in use stays, and one whose process died goes: with it goes its lock.
func TestFoldersOfDeadProcessesGo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	used, err := newSheetFolder()
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newSheetFolder()
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dead.path, "sheet"), []byte("rows"), 0o600), dead.lock.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	next, err := newSheetFolder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(used.path); err != nil {
		t.Errorf("the folder in use: %v", err)
	}
	if _, err := os.Stat(dead.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a dead process is still there: %v", err)
	}
	if err := errors.Join(used.close(), next.close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}
