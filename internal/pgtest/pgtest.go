// Package pgtest gives every test a Postgres of its own: a database made from a migrated template, or
// a transaction that is rolled back. One server per test binary is started at the first need and ends
// with the binary, whatever ends it. Only tests import it. With TEST_DATABASE_URL set, databases are
// made on that server instead; its user must be allowed to make databases.
package pgtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// Noon is the instant at which tests happen, when the time does not matter.
var Noon = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// Pool answers a pool on the test's own migrated database; asked again by the same test, the same
// pool. It is closed when the test ends: a connection the test still holds then makes it hang.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return ownDatabase(t).open(t)
}

// URL names the test's own migrated database, the one that Pool is connected to.
func URL(t testing.TB) string {
	t.Helper()
	return ownDatabase(t).url
}

// EmptyURL names a new database without any schema, another one at each call.
func EmptyURL(t testing.TB) string {
	t.Helper()
	s := mustServer(t)
	url, err := s.create(t, "template0")
	if err != nil {
		t.Fatalf("make an empty database: %v", err)
	}
	return url
}

// Tx answers a transaction in a migrated database that the tests of the package share; it is rolled
// back when the test ends. Two tests that insert the same key at once wait for each other: such tests
// want Pool.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	s := mustServer(t)
	pool, err := s.shared()
	if err != nil {
		t.Fatalf("make the shared database: %v", err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() {
		if err := tx.Rollback(context.Background()); err != nil && err != pgx.ErrTxClosed {
			t.Errorf("roll back: %v", err)
		}
	})
	return tx
}

// eventuallyLimit is generous: a test that waits this long has failed, however slow the machine.
const eventuallyLimit = 2 * time.Minute

// Eventually asks ok again and again until it answers true. It fails the test when ok returns an error
// or the limit of two minutes has passed; what says for what it waited ("order 1 is processed").
func Eventually(t testing.TB, what string, ok func() (bool, error)) {
	t.Helper()
	deadline := time.After(eventuallyLimit)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		done, err := ok()
		if err != nil {
			t.Fatalf("wait until %s: %v", what, err)
		}
		if done {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waited %s until %s: it did not happen", eventuallyLimit, what)
		case <-time.After(wait):
		}
	}
}

// database is one test's own.
type database struct {
	url  string
	pool *pgxpool.Pool // nil until asked for
}

// databases are those of the tests that run now.
var databases = struct {
	sync.Mutex
	of map[testing.TB]*database
}{of: map[testing.TB]*database{}}

func ownDatabase(t testing.TB) *database {
	t.Helper()
	s := mustServer(t)
	databases.Lock()
	own, found := databases.of[t]
	databases.Unlock()
	if found {
		return own
	}
	url, err := s.create(t, s.template)
	if err != nil {
		t.Fatalf("make a migrated database: %v", err)
	}
	own = &database{url: url}
	databases.Lock()
	databases.of[t] = own
	databases.Unlock()
	t.Cleanup(func() {
		databases.Lock()
		delete(databases.of, t)
		databases.Unlock()
	})
	return own
}

func (d *database) open(t testing.TB) *pgxpool.Pool {
	t.Helper()
	if d.pool == nil {
		pool, err := postgres.Connect(context.Background(), d.url, postgres.Options{ApplicationName: "test", MaxConns: 20})
		if err != nil {
			t.Fatal(err)
		}
		d.pool = pool
		t.Cleanup(pool.Close)
	}
	return d.pool
}
