// Package store is where the bytes of artifacts live: in the database (postgres:) or in a directory that
// the processes share (file:///dir). An object is complete or absent, is never changed, and is read from
// any byte on. What objects mean, and which of them may go, is known to internal/report and
// internal/cleanup.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Store keeps objects by path: slash-separated names below the store's root, see CheckPath. Every method
// may be called by many at once.
type Store interface {
	// Put stores all of content under path and answers its length in bytes: the object is complete and
	// durable, or absent when content or the store fails. ErrExists: the path is taken.
	Put(ctx context.Context, path string, content io.Reader) (bytes int64, err error)
	// Open reads an object from the given byte on; beyond its end there is nothing to read. ErrNotFound:
	// there is none. The reader ends with ctx, and pins nothing while nobody reads from it.
	Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error)
	// Delete removes an object. What is not there is no error.
	Delete(ctx context.Context, path string) error
	// List answers at most limit objects after the given path, byte by byte in order of their paths.
	List(ctx context.Context, after string, limit int) ([]Object, error)
}

// Object is what List tells of one.
type Object struct {
	Path       string
	Bytes      int64
	ModifiedAt time.Time // when it was put, by the store's clock
}

// What callers branch on.
var (
	ErrNotFound = errors.New("object not found")
	ErrExists   = errors.New("object exists already")
	ErrNoStore  = errors.New("store not given") // a file: location, and no --store file:///DIR
	ErrBadPath  = errors.New("bad object path")
)

const (
	// longestPath leaves room for the scheme in a location of at most 1000 bytes.
	longestPath = 900
	// longestName is what file systems take as the name of one file.
	longestName = 255
)

// CheckPath refuses, with ErrBadPath, what is no path below a store's root: names of 1 to 255 bytes with
// slashes between them, 900 bytes in all, in UTF-8, without control characters and backslashes. No name
// begins with a dot, so that none leads upwards and none looks like an unfinished object.
func CheckPath(path string) error {
	refuse := func(why string) error { return fmt.Errorf("%w: %.80q %s", ErrBadPath, path, why) }
	switch {
	case path == "":
		return refuse("is empty")
	case len(path) > longestPath:
		return refuse(fmt.Sprintf("and so on is longer than %d bytes", longestPath))
	case !utf8.ValidString(path):
		return refuse("is not UTF-8")
	case strings.ContainsFunc(path, unicode.IsControl):
		return refuse("holds a control character")
	case strings.Contains(path, `\`):
		return refuse("holds a backslash; names are separated by /")
	}
	for name := range strings.SplitSeq(path, "/") {
		switch {
		case name == "":
			return refuse("begins or ends with a slash, or holds two in a row")
		case name[0] == '.':
			return refuse("holds a name that begins with a dot")
		case len(name) > longestName:
			return refuse(fmt.Sprintf("holds a name longer than %d bytes", longestName))
		}
	}
	return nil
}

func checkOffset(path string, offset int64) error {
	if offset < 0 {
		return fmt.Errorf("open object %q: offset %d is below zero", path, offset)
	}
	return nil
}
