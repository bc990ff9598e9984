// Package migrations is the schema: numbered SQL files that only go forward, the views of schema
// inspect, which every run rebuilds, and the runner that applies them together with River's own
// migrations. What the tables mean is said in the SQL; who reads and writes them lives elsewhere.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed *.sql
var files embed.FS

// runner is the code that applies the files: a part of the digest.
//
//go:embed up.go inspect.go
var runner embed.FS

// migration is one step forward: a file of ours or a version of River's.
type migration struct {
	name     string // 001_orders, river_001_create_river_migration
	version  int    // River's number; 0 for ours
	sql      string
	checksum string // ours: recorded when applied, so that a later edit is noticed
}

// oursIn are the numbered files in the order they apply. inspect.sql is none of them.
func oursIn(fsys fs.FS) []migration {
	names, err := fs.Glob(fsys, "[0-9][0-9][0-9]_*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	steps := make([]migration, 0, len(names))
	for _, name := range names { // sorted by Glob
		text := read(fsys, name)
		steps = append(steps, migration{name: strings.TrimSuffix(name, ".sql"), sql: text, checksum: checksum(text)})
	}
	return steps
}

// rivers are River's migrations in the order they apply.
func rivers(pool *pgxpool.Pool) ([]migration, error) {
	migrator, err := riverMigrator(pool)
	if err != nil {
		return nil, err
	}
	versions := migrator.AllVersions()
	steps := make([]migration, 0, len(versions))
	for _, v := range versions {
		steps = append(steps, migration{name: riverName(v.Version, v.Name), version: v.Version, sql: v.SQLUp})
	}
	return steps, nil
}

func riverName(version int, name string) string {
	return fmt.Sprintf("river_%03d_%s", version, strings.ReplaceAll(name, " ", "_"))
}

// riverMigrator is silent: what it does is reported step by step. A nil pool serves to list versions.
func riverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
}

// inspectIn is the text of the views, "" when there are none.
func inspectIn(fsys fs.FS) string {
	if _, err := fs.Stat(fsys, "inspect.sql"); err != nil {
		return ""
	}
	return read(fsys, "inspect.sql")
}

// Digest identifies what Up makes: all our SQL, all of River's migrations, and how they are applied. A
// database made with one digest serves every program with the same.
func Digest() string {
	sum := sha256.New()
	steps, err := rivers(nil)
	if err != nil {
		panic(err) // River cannot read its own embedded files
	}
	for _, step := range append(steps, oursIn(files)...) {
		fmt.Fprintf(sum, "%s %s\n", step.name, checksum(step.sql))
	}
	for _, part := range []string{inspectIn(files), read(runner, "up.go"), read(runner, "inspect.go")} {
		fmt.Fprintln(sum, checksum(part))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func read(fsys fs.FS, name string) string {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		panic(err) // embedded
	}
	return string(text)
}
