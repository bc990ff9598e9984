package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
	"backoffice/migrations"
)

// startLimit is generous: several test binaries start their servers on one small machine at once.
const startLimit = 2 * time.Minute

// server is where the databases of this test binary are made.
type server struct {
	admin    *pgxpool.Pool // on a database that no test uses
	adminURL string
	template string // migrated; nobody connects to it
	prefix   string // keeps the databases of several test binaries on one server apart
	drop     bool   // the server lives on: tests take their databases away
	count    atomic.Int64
	shared   func() (*pgxpool.Pool, error) // for Tx

	untilExit io.Closer // kept open: its end tells that this program has ended (run.go)
}

var theServer = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if external := os.Getenv("TEST_DATABASE_URL"); external != "" {
		return useServer(ctx, external)
	}
	return startServer(ctx)
})

// skipIfShort skips what needs Postgres: -short asks for the tests that need nothing but Go.
func skipIfShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Postgres; runs without -short")
	}
}

func mustServer(t testing.TB) *server {
	t.Helper()
	skipIfShort(t)
	s, err := theServer()
	if err != nil {
		t.Fatalf("a test needs Postgres: %v", err)
	}
	return s
}

// useServer makes the template on a server that runs already.
func useServer(ctx context.Context, external string) (*server, error) {
	s, err := newServer(ctx, external, "backoffice_template_"+migrations.Digest()[:12])
	if err != nil {
		return nil, err
	}
	s.drop = true
	s.prefix = "test_" + strings.ToLower(rand.Text()[:8]) + "_"
	return s, s.makeMigrated(ctx, s.template)
}

func newServer(ctx context.Context, adminURL, template string) (*server, error) {
	admin, err := postgres.Connect(ctx, adminURL, postgres.Options{ApplicationName: "test admin", MaxConns: 4})
	if err != nil {
		return nil, err
	}
	s := &server{admin: admin, adminURL: adminURL, template: template, prefix: "test_"}
	s.shared = sync.OnceValues(s.makeShared)
	return s, nil
}

// makeShared makes the database for Tx. On a server that lives on, the next run finds it again: no
// transaction in it ever commits.
func (s *server) makeShared() (*pgxpool.Pool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	name := "backoffice_shared_" + migrations.Digest()[:12]
	if err := s.makeMigrated(ctx, name); err != nil {
		return nil, err
	}
	url, err := withDatabase(s.adminURL, name)
	if err != nil {
		return nil, err
	}
	return postgres.Connect(ctx, url, postgres.Options{ApplicationName: "test", MaxConns: 60})
}

// create makes a database for one test from a template by copying its files: three times faster than
// through the WAL. On our own server it is never dropped (that would cost more than making it): the
// server is thrown away as a whole.
func (s *server) create(t testing.TB, template string) (string, error) {
	name := fmt.Sprintf("%s%d_%s", s.prefix, s.count.Add(1), identifier(t.Name()))
	url, err := s.createNamed(t.Context(), name[:min(len(name), 63)], template)
	if err == nil && s.drop {
		t.Cleanup(func() { s.dropDatabase(t, name[:min(len(name), 63)]) })
	}
	return url, err
}

func (s *server) createNamed(ctx context.Context, name, template string) (string, error) {
	_, err := s.admin.Exec(ctx, fmt.Sprintf("create database %s template %s strategy file_copy",
		pgx.Identifier{name}.Sanitize(), pgx.Identifier{template}.Sanitize()))
	if err != nil {
		return "", err
	}
	return withDatabase(s.adminURL, name)
}

func (s *server) dropDatabase(t testing.TB, name string) {
	if _, err := s.admin.Exec(context.Background(), fmt.Sprintf("drop database %s with (force)", pgx.Identifier{name}.Sanitize())); err != nil {
		t.Errorf("drop the test's database: %v", err)
	}
}

var notIdentifier = regexp.MustCompile(`[^a-z0-9]+`)

func identifier(testName string) string {
	return strings.Trim(notIdentifier.ReplaceAllString(strings.ToLower(testName), "_"), "_")
}

// withDatabase names another database of the same server.
func withDatabase(given, name string) (string, error) {
	u, err := url.Parse(given)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("TEST_DATABASE_URL must look like postgres://user:password@host:5432/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// makeMigrated makes a migrated database unless it is there. It is made under another name and renamed,
// so that one that exists is complete.
func (s *server) makeMigrated(ctx context.Context, name string) error {
	conn, err := s.admin.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	// Several test binaries may find it missing at once.
	if _, err := conn.Exec(ctx, "select pg_advisory_lock(hashtext($1))", name); err != nil {
		return err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock(hashtext($1))", name)
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists); err != nil || exists {
		return err
	}
	fresh := fmt.Sprintf("%s_new_%d", name, os.Getpid()) // the lock holds within one database; programs may come by several
	for _, statement := range []string{"drop database if exists " + fresh + " with (force)", "create database " + fresh + " template template0"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.adminURL, fresh); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("alter database %s rename to %s", fresh, name))
	if isDuplicate(err) { // another program was first
		_, err = conn.Exec(ctx, "drop database "+fresh+" with (force)")
	}
	return err
}

func migrate(ctx context.Context, adminURL, name string) error {
	url, err := withDatabase(adminURL, name)
	if err != nil {
		return err
	}
	pool, err := postgres.Connect(ctx, url, postgres.Options{ApplicationName: "test template"})
	if err != nil {
		return err
	}
	defer pool.Close()
	return migrations.Up(ctx, pool, nil)
}

// isDuplicate recognises the error of a database whose name is taken.
func isDuplicate(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "42P04" || refused.Code == "23505")
}
