package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// List walks the folders in the order of paths and enters none that lies before the given path. What is no
// regular file, or bears a name that no object has, is none of ours and left out.
func (s *fileStore) List(ctx context.Context, after string, limit int) ([]Object, error) {
	var objects []Object
	err := s.walk(ctx, "", after, func(folder *os.Root, prefix, name string) error {
		path := prefix + name
		if path <= after || CheckPath(path) != nil {
			return nil
		}
		file, err := folder.Lstat(name)
		if err != nil {
			return ignore(err, fs.ErrNotExist) // deleted meanwhile
		}
		objects = append(objects, Object{Path: path, Bytes: file.Size(), ModifiedAt: file.ModTime()})
		if len(objects) >= limit {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		return nil, fmt.Errorf("list objects in %s: %w", s.dir, err)
	}
	return objects, nil
}

// removeUnfinished removes files that no Put writes to any more: those not touched since before.
func (s *fileStore) removeUnfinished(ctx context.Context, after, upTo string, before time.Time) (removed int, err error) {
	err = s.walk(ctx, "", after, func(folder *os.Root, prefix, name string) error {
		path := prefix + name
		switch {
		case upTo != "" && path > upTo:
			return fs.SkipAll
		case path <= after || !strings.HasPrefix(name, unfinishedPrefix):
			return nil
		}
		file, err := folder.Lstat(name)
		if err == nil && file.ModTime().Before(before) {
			if err = folder.Remove(name); err == nil {
				removed++
			}
		}
		return ignore(err, fs.ErrNotExist)
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		return removed, fmt.Errorf("remove unfinished objects in %s: %w", s.dir, err)
	}
	return removed, nil
}

// walk calls visit for every regular file below a folder, in the order of their paths, except in folders
// that lie before the path after. Prefix is the folder's own path with its slash, "" for the root.
func (s *fileStore) walk(ctx context.Context, prefix, after string, visit func(folder *os.Root, prefix, name string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir := "."
	if prefix != "" {
		dir = strings.TrimSuffix(prefix, "/")
	}
	folder, err := s.folder(dir, false)
	if err != nil {
		return ignore(err, fs.ErrNotExist) // removed meanwhile
	}
	defer folder.Close() //nolint:errcheck // read only
	keys, err := sortedKeys(folder)
	if err != nil {
		return err
	}
	for _, key := range keys {
		switch path := prefix + key; {
		case !strings.HasSuffix(key, "/"):
			err = visit(folder, prefix, key)
		case path > after || strings.HasPrefix(after, path):
			err = s.walk(ctx, path, after, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sortedKeys lists files and folders, these with a slash at the end: so their order is that of the paths
// in them.
func sortedKeys(folder *os.Root) ([]string, error) {
	opened, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	entries, err := opened.ReadDir(-1)
	if err = errors.Join(err, opened.Close()); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(entries))
	for _, entry := range entries {
		switch {
		case entry.Type().IsRegular():
			keys = append(keys, entry.Name())
		case entry.IsDir() && entry.Name()[0] != '.':
			keys = append(keys, entry.Name()+"/")
		}
	}
	slices.Sort(keys)
	return keys, nil
}
