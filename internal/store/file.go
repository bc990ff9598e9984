package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// fileStore keeps objects as files below a directory. It follows no symbolic link and reaches nothing
// outside: os.Root refuses what leads out, and folder what is a link within.
type fileStore struct {
	dir  string
	root *os.Root
}

// putTries is how often Put makes its folders again after somebody removed them because they were empty.
const putTries = 10

// Put writes the object under an unfinished name, makes it durable and gives it its name, which fails
// when there is one already: whoever sees the name sees all of the object, and keeps it after a crash.
func (s *fileStore) Put(ctx context.Context, path string, content io.Reader) (bytes int64, err error) {
	if err := CheckPath(path); err != nil {
		return 0, err
	}
	bytes, err = s.put(ctx, path, content)
	if err != nil {
		return 0, fmt.Errorf("put object %q into %s: %w", path, s.dir, sentinel(err))
	}
	return bytes, nil
}

func (s *fileStore) put(ctx context.Context, objectPath string, content io.Reader) (bytes int64, err error) {
	folder, unfinished, err := s.begin(objectPath)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	defer func() { err = errors.Join(err, ignore(folder.Remove(path.Base(unfinished.Name())), fs.ErrNotExist)) }()
	bytes, err = io.Copy(unfinished, &endingReader{ctx, content})
	if err == nil {
		err = unfinished.Sync()
	}
	if err = errors.Join(err, unfinished.Close()); err != nil {
		return 0, err
	}
	// A second name for the file instead of a new one: renaming would replace an object that is there.
	if err := folder.Link(path.Base(unfinished.Name()), path.Base(objectPath)); err != nil {
		return 0, err
	}
	if err := syncFolder(folder); err != nil {
		return 0, errors.Join(err, folder.Remove(path.Base(objectPath)))
	}
	return bytes, nil
}

// begin makes an unfinished file in the folder of the object.
func (s *fileStore) begin(objectPath string) (folder *os.Root, unfinished *os.File, err error) {
	for try := 1; ; try++ {
		folder, err = s.folder(path.Dir(objectPath), true)
		if err == nil {
			// An early answer, which saves the writing; Link decides.
			if _, err = folder.Lstat(path.Base(objectPath)); err == nil {
				return nil, nil, errors.Join(ErrExists, folder.Close())
			}
			unfinished, err = folder.OpenFile(unfinishedName(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				return folder, unfinished, nil
			}
			err = errors.Join(err, folder.Close())
		}
		if !errors.Is(err, fs.ErrNotExist) || try == putTries {
			return nil, nil, err
		}
	}
}

// Open reads a regular file, and what else bears the name is not found.
func (s *fileStore) Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	if err := errors.Join(CheckPath(path), checkOffset(path, offset)); err != nil {
		return nil, err
	}
	file, err := s.open(path)
	if err == nil {
		if _, err = file.Seek(offset, io.SeekStart); err != nil {
			err = errors.Join(err, file.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open object %q in %s: %w", path, s.dir, sentinel(err))
	}
	return &fileReader{endingReader{ctx, file}, file}, nil
}

func (s *fileStore) open(objectPath string) (file *os.File, err error) {
	folder, err := s.folder(path.Dir(objectPath), false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	name := path.Base(objectPath)
	seen, err := folder.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	// Without waiting, should a pipe have taken the place of the file since.
	if file, err = folder.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	if opened, err := file.Stat(); err != nil || !os.SameFile(seen, opened) {
		return nil, errors.Join(fs.ErrNotExist, err, file.Close())
	}
	return file, nil
}

// Delete removes the name, and the folders that it leaves empty. It is not made durable: a file that comes
// back after a crash of the machine is one without a row, which cleanup deletes.
func (s *fileStore) Delete(_ context.Context, path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if err := ignore(s.remove(path), fs.ErrNotExist); err != nil {
		return fmt.Errorf("delete object %q in %s: %w", path, s.dir, err)
	}
	return nil
}

func (s *fileStore) remove(objectPath string) (err error) {
	folder, err := s.folder(path.Dir(objectPath), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	name := path.Base(objectPath)
	seen, err := folder.Lstat(name)
	if err != nil || !seen.Mode().IsRegular() {
		return err
	}
	if err := folder.Remove(name); err != nil {
		return err
	}
	for dir := path.Dir(objectPath); dir != "."; dir = path.Dir(dir) {
		if s.root.Remove(dir) != nil { // not empty, or removed already
			break
		}
	}
	return nil
}

// folder opens the folder of a checked path, name by name, and made where it is missing if so asked.
// A name that is no folder is not found; os.Root alone would follow a link that stays inside.
func (s *fileStore) folder(dir string, create bool) (*os.Root, error) {
	folder, err := s.root.OpenRoot(".")
	if err != nil || dir == "." {
		return folder, err
	}
	for name := range strings.SplitSeq(dir, "/") {
		next, err := enter(folder, name, create)
		if err = errors.Join(err, folder.Close()); err != nil {
			return nil, err
		}
		folder = next
	}
	return folder, nil
}

// enter opens a folder in a folder.
func enter(folder *os.Root, name string, create bool) (*os.Root, error) {
	if create {
		err := folder.Mkdir(name, 0o700)
		if err == nil {
			err = syncFolder(folder)
		}
		if err := ignore(err, fs.ErrExist); err != nil {
			return nil, err
		}
	}
	seen, err := folder.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.IsDir() {
		if create {
			return nil, fmt.Errorf("%s is no folder", name)
		}
		return nil, fs.ErrNotExist
	}
	next, err := folder.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if opened, err := next.Stat("."); err != nil || !os.SameFile(seen, opened) {
		return nil, errors.Join(fs.ErrNotExist, err, next.Close())
	}
	return next, nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(folder *os.Root) error {
	opened, err := folder.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// unfinishedPrefix marks what is not an object yet. No path has such a name: see CheckPath.
const unfinishedPrefix = ".unfinished-"

func unfinishedName() string { return unfinishedPrefix + rand.Text() }

// sentinel turns what the file system says into what callers branch on.
func sentinel(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	}
	return err
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// endingReader ends with its context: reading from a file does not do so by itself.
type endingReader struct {
	ctx  context.Context
	from io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

type fileReader struct {
	endingReader
	io.Closer
}
