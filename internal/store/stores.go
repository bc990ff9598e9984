package store

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The schemes of locations, which are the names of the stores.
const (
	Postgres = "postgres"
	File     = "file"
)

// Stores are all stores of a process: the one that new objects go to, and those that locations written
// earlier name. A location is "postgres:PATH" or "file:PATH".
type Stores struct {
	name     string
	postgres *postgresStore
	file     *fileStore // nil: no root was given
}

const identitySQL = `select /* store.Open */ id::text from store_identity`

// Open opens the store that storeURL names for new objects: "postgres:" for the database of pool, or
// "file:///dir" for a directory, which is made if it is missing. Objects in the database can be read
// whichever it is; those in files only when storeURL names their directory. The caller closes the stores, and
// the pool after them.
func Open(ctx context.Context, storeURL string, pool *pgxpool.Pool) (*Stores, error) {
	return open(ctx, storeURL, pool, false)
}

// OpenToRead is Open for those who only read: a directory that no process has opened for new objects is
// refused, and nothing is written.
func OpenToRead(ctx context.Context, storeURL string, pool *pgxpool.Pool) (*Stores, error) {
	return open(ctx, storeURL, pool, true)
}

func open(ctx context.Context, storeURL string, pool *pgxpool.Pool, toRead bool) (*Stores, error) {
	s := &Stores{name: Postgres, postgres: &postgresStore{pool: pool}}
	if storeURL == Postgres+":" {
		return s, nil
	}
	dir, err := directory(storeURL)
	if err != nil {
		return nil, err
	}
	var identity string
	if err := pool.QueryRow(ctx, identitySQL).Scan(&identity); err != nil {
		return nil, fmt.Errorf("look which database this is: %w", err)
	}
	s.name = File
	if s.file, err = openFileStore(ctx, dir, identity, toRead); err != nil {
		return nil, err
	}
	return s, nil
}

// CheckURL answers why a URL names no store, before anything of it is looked at.
func CheckURL(storeURL string) error {
	if storeURL == Postgres+":" {
		return nil
	}
	_, err := directory(storeURL)
	return err
}

// directory is the one that a file: URL names.
func directory(given string) (string, error) {
	const cure = "write it as postgres: or as file:///var/lib/backoffice, with three slashes and an absolute path"
	parsed, err := url.Parse(given)
	if err != nil {
		return "", fmt.Errorf("--store %q cannot be read; %s", given, cure)
	}
	plain := parsed.Host == "" && parsed.RawQuery == "" && parsed.Fragment == "" && parsed.User == nil
	if parsed.Scheme != File || !plain || !filepath.IsAbs(parsed.Path) {
		return "", fmt.Errorf("--store %q names no store; %s", given, cure)
	}
	return filepath.Clean(parsed.Path), nil
}

// Name is the scheme of the store that new objects go to: "postgres" or "file".
func (s *Stores) Name() string { return s.name }

// Location is what Put will answer for path, to be written down before the object is.
func (s *Stores) Location(path string) string { return s.name + ":" + path }

// Put stores content in the store that new objects go to; see Store.Put.
func (s *Stores) Put(ctx context.Context, path string, content io.Reader) (location string, bytes int64, err error) {
	to, err := s.of(s.name)
	if err != nil {
		return "", 0, err
	}
	bytes, err = to.Put(ctx, path, content)
	return s.Location(path), bytes, err
}

// Open reads the object at a location from the given byte on; see Store.Open. ErrNoStore: it lies in a
// store that this process was not given.
func (s *Stores) Open(ctx context.Context, location string, offset int64) (io.ReadCloser, error) {
	from, path, err := s.find(location)
	if err != nil {
		return nil, err
	}
	return from.Open(ctx, path, offset)
}

// Delete removes the object at a location; see Store.Delete. ErrNoStore: it lies in a store that this
// process was not given.
func (s *Stores) Delete(ctx context.Context, location string) error {
	from, path, err := s.find(location)
	if err != nil {
		return err
	}
	return from.Delete(ctx, path)
}

// Check answers the name of the store that a location lies in. ErrNoStore: this process was not given that
// store; ErrBadPath: it is no location.
func (s *Stores) Check(location string) (name string, err error) {
	if _, _, err := s.find(location); err != nil {
		return "", err
	}
	name, _, _ = strings.Cut(location, ":")
	return name, nil
}

// Names lists the stores of this process by their schemes.
func (s *Stores) Names() []string {
	if s.file == nil {
		return []string{Postgres}
	}
	return []string{Postgres, File}
}

// List answers objects of the named store; see Store.List.
func (s *Stores) List(ctx context.Context, name, after string, limit int) ([]Object, error) {
	from, err := s.of(name)
	if err != nil {
		return nil, err
	}
	return from.List(ctx, after, limit)
}

// RemoveUnfinished removes from the named store what was left by a process that died while it put an object
// before the given instant, and answers how many. It looks at what comes after one path up to another one, ""
// for the end of all: a whole store may take long.
func (s *Stores) RemoveUnfinished(ctx context.Context, name, after, upTo string, before time.Time) (int, error) {
	if name == Postgres { // an unfinished transaction leaves nothing
		return 0, nil
	}
	if _, err := s.of(name); err != nil {
		return 0, err
	}
	return s.file.removeUnfinished(ctx, after, upTo, before)
}

// Close lets go of the directory. The pool stays open.
func (s *Stores) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.root.Close()
}

// SplitLocation answers scheme and path of a location: "postgres" and "reports/41/1" of
// "postgres:reports/41/1". ErrBadPath: it is none.
func SplitLocation(location string) (name, path string, err error) {
	name, path, found := strings.Cut(location, ":")
	if !found || name != Postgres && name != File {
		return "", "", fmt.Errorf("%w: location %.80q names no store; it begins with postgres: or file: and goes on with a path", ErrBadPath, location)
	}
	return name, path, CheckPath(path)
}

func (s *Stores) find(location string) (Store, string, error) {
	name, path, err := SplitLocation(location)
	if err != nil {
		return nil, "", err
	}
	found, err := s.of(name)
	if err != nil {
		return nil, "", fmt.Errorf("find object %q: %w", location, err)
	}
	return found, path, nil
}

func (s *Stores) of(name string) (Store, error) {
	switch {
	case name == Postgres:
		return s.postgres, nil
	case s.file == nil:
		return nil, fmt.Errorf("%w: it lies in files; start this process with --store file:///DIR, the directory it was written to", ErrNoStore)
	default:
		return s.file, nil
	}
}
