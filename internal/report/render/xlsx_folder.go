package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// sheetFolder is a temporary folder in which the rows of a workbook wait. It is locked for as long as its process
// lives, so that the next one can tell it from what a killed process left behind.
type sheetFolder struct {
	path string
	lock *os.File
}

const sheetFolderPattern = "backoffice-xlsx-*"

// newSheetFolder makes a folder, and removes those that nobody uses any more.
func newSheetFolder() (*sheetFolder, error) {
	removeDeadFolders()
	for {
		path, err := os.MkdirTemp("", sheetFolderPattern)
		if err != nil {
			return nil, fmt.Errorf("make a folder for the sheets: %w", err)
		}
		lock, err := lockFolder(path)
		switch {
		case err == nil:
			return &sheetFolder{path, lock}, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EWOULDBLOCK): // somebody took it for a dead one before it was locked
		default:
			return nil, errors.Join(fmt.Errorf("lock a folder for the sheets: %w", err), os.RemoveAll(path))
		}
	}
}

// close removes the folder.
func (f *sheetFolder) close() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// removeDeadFolders removes what killed processes left behind. What it cannot remove is another account's, or in
// use after all, and stays.
func removeDeadFolders() {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), sheetFolderPattern))
	if err != nil {
		return // the pattern is a constant
	}
	for _, path := range found {
		if kind, err := os.Lstat(path); err != nil || !kind.IsDir() {
			continue
		}
		if lock, err := lockFolder(path); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

// lockFolder locks a folder that nobody else has locked, and that is still there.
func lockFolder(path string) (*os.File, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		_, err = os.Lstat(path) // it may have been removed before it was locked
	}
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}
