package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivermigrate"
)

// lockKey is the advisory lock under which one program at a time migrates a database: "backoffi".
const lockKey int64 = 0x6261636b6f666669

// lockPoll is how often a waiting program asks for the lock. It polls because a waiting
// pg_advisory_lock would hold a snapshot, for which a concurrent index build waits in turn.
const lockPoll = 100 * time.Millisecond

// Up brings the schema up to date: River's steps, then ours, each in a transaction of its own, then
// the views of inspect. Any number of programs may call it at once; the others wait, until ctx ends,
// and find nothing left to do. report, which may be nil, hears the name of each step once it is
// applied. A database that knows more than this program is refused with ErrNewerSchema, and so is an
// applied file whose text has changed since. The pool must reach Postgres itself: a pooler in
// transaction mode would lose the lock.
func Up(ctx context.Context, pool *pgxpool.Pool, report func(step string)) error {
	return upFrom(ctx, pool, files, report)
}

func upFrom(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS, report func(step string)) error {
	if report == nil {
		report = func(string) {}
	}
	// A connection of its own: the lock must not depend on what else the pool is used for.
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("migrate: connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) // frees the lock
	if err := pinTables(ctx, conn); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := awaitLock(ctx, conn); err != nil {
		return fmt.Errorf("migrate: wait for another migration: %w", err)
	}
	if err := up(ctx, pool, conn, fsys, report); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// By default the search path begins with the schema that is named like the role. Ours of functions and
// views are no place for tables, whatever the role is called.
const pinTablesSQL = `
select /* migrations.Up */ set_config('search_path', coalesce(string_agg(quote_ident(name), ', ' order by n), 'public'), false)
  from unnest(current_schemas(false)) with ordinality as path (name, n)
 where name not in ('backoffice', 'inspect')`

// pinTables makes sure that what a connection creates without naming a schema stands where the tables are.
func pinTables(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, pinTablesSQL); err != nil {
		return fmt.Errorf("find the schema of the tables: %w", err)
	}
	return nil
}

func awaitLock(ctx context.Context, conn *pgx.Conn) error {
	for {
		var ours bool
		if err := conn.QueryRow(ctx, "select /* migrations.Up */ pg_try_advisory_lock($1)", lockKey).Scan(&ours); err != nil {
			return err
		}
		if ours {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// up runs under the lock, which conn holds.
func up(ctx context.Context, pool *pgxpool.Pool, conn *pgx.Conn, fsys fs.FS, report func(string)) error {
	rivers, err := rivers(pool)
	if err != nil {
		return err
	}
	done, err := applied(ctx, conn)
	if err != nil {
		return err
	}
	ours := oursIn(fsys)
	steps := slices.Concat(rivers, ours)
	if err := verdict(steps, done); errors.Is(err, ErrNewerSchema) {
		return err
	}
	if err := unchanged(ours, done); err != nil {
		return err
	}
	if len(done.missing(steps)) > 0 {
		// A view would keep a step from changing the columns it shows.
		if err := dropViews(ctx, conn); err != nil {
			return err
		}
	}
	if len(done.missing(rivers)) > 0 {
		if err := upRiver(ctx, pool, report); err != nil {
			return err
		}
	}
	for _, m := range done.missing(ours) {
		if err := apply(ctx, conn, m); err != nil {
			return err
		}
		report(m.name)
	}
	return rebuildViews(ctx, conn, inspectIn(fsys))
}

// unchanged refuses a file that was edited after it had been applied: this database would then differ
// from one made today.
func unchanged(ours []migration, done records) error {
	for _, m := range ours {
		if d, ok := done.find(m); ok && d.checksum != m.checksum {
			return fmt.Errorf("%s was applied on %s with another text; an applied migration is never edited: restore it and put the change into a new one",
				m.name, d.at.UTC().Format(time.DateTime))
		}
	}
	return nil
}

// upRiver applies River's steps one at a time, so that each is reported as it happens.
func upRiver(ctx context.Context, pool *pgxpool.Pool, report func(string)) error {
	config := pool.Config() // a copy
	config.MaxConns, config.MinConns, config.MinIdleConns = 1, 0, 0
	config.AfterConnect = pinTables
	pinned, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect for River's migrations: %w", err)
	}
	defer pinned.Close()
	migrator, err := riverMigrator(pinned)
	if err != nil {
		return err
	}
	for {
		result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{MaxSteps: 1})
		if err != nil {
			return fmt.Errorf("apply River's migrations: %w", err)
		}
		if len(result.Versions) == 0 {
			return nil
		}
		for _, v := range result.Versions {
			report(riverName(v.Version, v.Name))
		}
	}
}

const createLedgerSQL = `
create table if not exists backoffice_migrations (
  name       text        primary key,
  applied_at timestamptz not null default now(),
  checksum   text        not null -- sha256 of the file as it was applied
)`

const recordSQL = `
insert /* migrations.Up */ into backoffice_migrations (name, checksum)
values ($1, $2)`

// apply runs one file and records it, in one transaction.
func apply(ctx context.Context, conn *pgx.Conn, m migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local client_min_messages = warning; "+createLedgerSQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		if err := run(ctx, tx, m.name, m.sql); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, recordSQL, m.name, m.checksum)
		return err
	})
}

// run executes a file of several statements; an error names file and line.
func run(ctx context.Context, tx pgx.Tx, name, sql string) error {
	_, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		return nil
	}
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && refusal.Position > 0 {
		before := []rune(sql)[:min(int(refusal.Position)-1, len([]rune(sql)))]
		return fmt.Errorf("apply %s.sql: line %d: %w", name, 1+strings.Count(string(before), "\n"), err)
	}
	return fmt.Errorf("apply %s.sql: %w", name, err)
}
