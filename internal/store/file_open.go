package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// markName tells a directory that is ours from one that somebody keeps other files in: cleanup deletes
// files that no row names, so it must never be let loose on those.
const markName = ".backoffice-store"

// markText ends with the identity of the database.
const markText = `Backoffice keeps the bytes of artifacts here. Files that no row of its database names are deleted
after a day, so keep nothing else here, and give each database a directory of its own. This one belongs to
`

// openFileStore opens a directory for objects, made if it is missing. It refuses one that is a link or no
// directory, one that holds files of others or of another database, and one in which objects could not be written.
// To read only, it must be there, and nothing is written.
func openFileStore(ctx context.Context, dir, identity string, toRead bool) (*fileStore, error) {
	s, err := tryOpenFileStore(ctx, dir, identity, toRead)
	if err != nil {
		return nil, fmt.Errorf("--store file://%s cannot be used: %w", dir, err)
	}
	return s, nil
}

func tryOpenFileStore(ctx context.Context, dir, identity string, toRead bool) (*fileStore, error) {
	seen, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if toRead {
			return nil, errUnused
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		seen, err = os.Lstat(dir)
	}
	switch {
	case err != nil:
		return nil, err
	case seen.Mode()&fs.ModeSymlink != 0:
		return nil, errors.New("it is a symbolic link; name the directory that it leads to")
	case !seen.IsDir():
		return nil, errors.New("it is no directory; name one, or a path where one can be made")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &fileStore{dir: dir, root: root}
	if err := s.prove(ctx, seen, identity, toRead); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

var errUnused = errors.New("no worker process keeps anything there yet; name the store that theirs have")

// prove makes sure that the directory is the one that was looked at, that it is ours, and that an object
// can be put there and removed, now and not at the end of the first report.
func (s *fileStore) prove(ctx context.Context, seen fs.FileInfo, identity string, toRead bool) error {
	opened, err := s.root.Stat(".")
	if err != nil {
		return err
	}
	if !os.SameFile(seen, opened) {
		return errors.New("it was replaced while it was opened; try again")
	}
	if err := s.claim(identity, toRead); err != nil || toRead {
		return err
	}
	probe := "probe-" + unfinishedName()[len(unfinishedPrefix):]
	if _, err := s.put(ctx, probe, strings.NewReader("")); err != nil {
		return fmt.Errorf("put a file there and give it a second name: %w", err)
	}
	return s.remove(probe)
}

// claim marks an empty directory as that of this database. One that bears another mark, or none and holds
// anything else, is refused.
func (s *fileStore) claim(identity string, toRead bool) error {
	mark, err := s.root.ReadFile(markName)
	if errors.Is(err, fs.ErrNotExist) {
		if toRead {
			return errUnused
		}
		if err := s.mark(identity); err != nil {
			return err
		}
		mark, err = s.root.ReadFile(markName) // ours, or that of another process, just now
	}
	switch {
	case err != nil:
		return err
	case string(mark) != markText+identity+"\n":
		return fmt.Errorf("it belongs to another database, as its %s says; name a directory for this one, because each would delete what the other keeps there", markName)
	}
	return nil
}

// mark marks the directory unless it holds anything. The mark gets its name when it is whole.
func (s *fileStore) mark(identity string) error {
	opened, err := s.root.Open(".")
	if err != nil {
		return err
	}
	entries, err := opened.ReadDir(-1)
	if err = errors.Join(err, opened.Close()); err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return entry.Name() == markName }) {
		return nil
	}
	for _, entry := range entries {
		if _, err := s.root.Lstat(markName); err == nil { // it came while the directory was read
			return nil
		}
		name := entry.Name()
		if name != "lost+found" && !strings.HasPrefix(name, unfinishedPrefix) { // of every new file system; of a process that marks it just now
			return fmt.Errorf("it holds other files (%s); name an empty directory, because what belongs to no artifact is deleted there", name)
		}
	}
	unfinished := unfinishedName()
	file, err := s.root.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(markText + identity + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = ignore(s.root.Link(unfinished, markName), fs.ErrExist)
	}
	return errors.Join(err, s.root.Remove(unfinished), syncFolder(s.root))
}
