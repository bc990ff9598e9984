package pgtest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// copyTree copies a stopped data directory. Root's copy keeps the owner, the account of the server.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		stat, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			err = os.Mkdir(target, stat.Mode().Perm())
		} else {
			err = copyFile(path, target, stat.Mode().Perm())
		}
		if err != nil || os.Geteuid() != 0 {
			return err
		}
		owner := stat.Sys().(*syscall.Stat_t)
		return os.Lchown(target, int(owner.Uid), int(owner.Gid))
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source) // within the kernel where it can
	return errors.Join(err, target.Close())
}
