package migrations_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/migrations"
)

func emptyPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return connect(t, pgtest.EmptyURL(t))
}

func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), url, postgres.Options{})
	must(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func steps(t *testing.T, pool *pgxpool.Pool) []migrations.Step {
	t.Helper()
	all, err := migrations.Status(t.Context(), pool)
	must(t, err)
	return all
}

// tables lists the tables of public, with their columns' number, but for the one in which the grants on
// the views wait until a run succeeds.
func tables(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		select relname || ' ' || relnatts
		  from pg_class
		 where relnamespace = 'public'::regnamespace
		   and relkind = 'r'
		   and relname <> 'backoffice_inspect_grants'
		 order by 1`)
	must(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return names
}

func allFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	names, err := fs.Glob(migrations.Files, "*.sql")
	must(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files, name)
		must(t, err)
		all[name] = &fstest.MapFile{Data: text}
	}
	return all
}

// lastFile is the name of our newest step.
func lastFile(t *testing.T) string {
	t.Helper()
	names, err := fs.Glob(migrations.Files, "[0-9]*.sql")
	must(t, err)
	return strings.TrimSuffix(slices.Max(names), ".sql")
}

func exec(t *testing.T, db postgres.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, pool *pgxpool.Pool, sql string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	must(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return all
}
