package migrations_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/migrations"
)

func TestUpMakesTheSchemaAndTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	var first, second []string
	must(t, migrations.Up(t.Context(), pool, func(step string) { first = append(first, step) }))
	if !slices.Contains(first, "river_002_initial_schema") || !slices.Contains(first, "001_orders") {
		t.Errorf("applied %q, want River's steps and ours", first)
	}
	before := steps(t, pool)
	must(t, migrations.Up(t.Context(), pool, func(step string) { second = append(second, step) }))
	if len(second) > 0 {
		t.Errorf("the second run applied %q", second)
	}
	if diff := cmp.Diff(before, steps(t, pool)); diff != "" {
		t.Errorf("the second run changed the record: %s", diff)
	}
	must(t, migrations.Check(t.Context(), pool))
}

func TestManyProgramsMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		applied = map[string]int{}
	)
	for range 10 {
		wait.Go(func() {
			pool, err := postgres.Connect(t.Context(), url, postgres.Options{MaxConns: 1}) // one is enough
			if err != nil {
				t.Error(err)
				return
			}
			defer pool.Close()
			err = migrations.Up(t.Context(), pool, func(step string) {
				mu.Lock()
				defer mu.Unlock()
				applied[step]++
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, step := range steps(t, connect(t, url)) {
		if applied[step.Name] != 1 || step.AppliedAt == nil {
			t.Errorf("%s was applied %d times", step.Name, applied[step.Name])
		}
	}
}

// A concurrent index build waits for every snapshot; one that waits for the migration lock would make
// it wait for ever.
func TestWaitingHoldsNoSnapshot(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	pool := connect(t, url)
	holder, err := pool.Acquire(t.Context())
	must(t, err)
	defer holder.Release()
	exec(t, holder.Conn(), "select pg_advisory_lock($1)", migrations.LockKey)

	waiting, err := postgres.Connect(t.Context(), url, postgres.Options{ApplicationName: "waiting"})
	must(t, err)
	defer waiting.Close()
	done := make(chan error, 1)
	go func() { done <- migrations.Up(t.Context(), waiting, nil) }()

	// What waits has asked for the lock and is idle, several times in a row.
	idle := 0
	pgtest.Eventually(t, "the other program waits outside any transaction", func() (bool, error) {
		var state string
		err := holder.QueryRow(t.Context(), `
			select coalesce(max(state || coalesce(backend_xmin::text, '')), '')
			  from pg_stat_activity
			 where datname = current_database() and application_name = 'waiting'
			   and query like '%pg_try_advisory_lock%'`).Scan(&state)
		if state == "idle" {
			idle++
		}
		return idle >= 3, err
	})
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	exec(t, holder.Conn(), "select pg_advisory_unlock($1)", migrations.LockKey)
	must(t, <-done)
	must(t, migrations.Check(t.Context(), pool))
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	holder, err := pool.Acquire(t.Context())
	must(t, err)
	defer holder.Release()
	exec(t, holder.Conn(), "select pg_advisory_lock($1)", migrations.LockKey)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := migrations.Up(ctx, pool, nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another migration") {
		t.Errorf("Up: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	last := lastFile(t)
	for _, tc := range []struct {
		rule   string
		change string
		want   error
		says   string
	}{
		{"a current schema passes", "select 1", nil, ""},
		{"one missing step is named with the cure", "delete from backoffice_migrations where name = '" + last + "'",
			migrations.ErrOldSchema, "schema is 1 step behind (" + last + "); run: backoffice migrate up"},
		{"River's missing steps come first", "delete from river_migration where version = 2; delete from backoffice_migrations where name = '001_orders'",
			migrations.ErrOldSchema, "schema is 2 steps behind (river_002_initial_schema, 001_orders); run: backoffice migrate up"},
		{"River without Backoffice", "drop table backoffice_migrations", migrations.ErrOldSchema, "behind (001_orders, "},
		{"Backoffice without River", "drop table river_migration", migrations.ErrOldSchema, "behind (river_001_create_river_migration, river_002_initial_schema, "},
		{"an empty database", "drop table river_migration; drop table backoffice_migrations", migrations.ErrOldSchema, "behind (river_001_create_river_migration, "},
		{"River as old as without lines", "alter table river_migration drop column line cascade; delete from river_migration where version > 4",
			migrations.ErrOldSchema, "behind (river_005_migration_unique_client, "},
		{"a line of River's that is none of ours is ignored", "insert into river_migration (line, version) values ('pro', 99)", nil, ""},
		{"a step this program does not know", "insert into backoffice_migrations (name, checksum) values ('999_later', '')",
			migrations.ErrNewerSchema, "schema is newer than this program, which does not know 999_later; run the newer program"},
		{"a version of River this program does not know", "insert into river_migration (line, version) values ('main', 99)",
			migrations.ErrNewerSchema, "does not know river_099"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			_, err := pool.Exec(t.Context(), tc.change, pgx.QueryExecModeSimpleProtocol)
			must(t, err)
			err = migrations.Check(t.Context(), pool)
			if !errors.Is(err, tc.want) {
				t.Fatalf("Check: %v, want %v", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Check says %q, want %q in it", err, tc.says)
			}
		})
	}
}

func TestUpCompletesAnOldSchema(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	all := allFiles(t)
	old := fstest.MapFS{"001_orders.sql": all["001_orders.sql"]}
	must(t, migrations.UpFrom(t.Context(), pool, old, nil))
	if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrOldSchema) {
		t.Errorf("Check: %v, want ErrOldSchema", err)
	}
	var applied []string
	must(t, migrations.Up(t.Context(), pool, func(step string) { applied = append(applied, step) }))
	if len(applied) == 0 || applied[0] != "002_effects" {
		t.Errorf("applied %q, want only what was missing", applied)
	}
	must(t, migrations.Check(t.Context(), pool))
}

func TestUpRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule string
		edit func(files fstest.MapFS)
		says string
	}{
		{"an applied file that was edited", func(files fstest.MapFS) {
			files["001_orders.sql"] = &fstest.MapFile{Data: append(slices.Clone(files["001_orders.sql"].Data), "-- later thought\n"...)}
		}, "001_orders was applied on "},
		{"a database that knows more than the program", func(files fstest.MapFS) {
			delete(files, "001_orders.sql")
		}, "does not know 001_orders"},
		{"a broken file, naming file and line", func(files fstest.MapFS) {
			files["998_broken.sql"] = &fstest.MapFile{Data: []byte("-- ünïcode\ncreate table made_before ();\ncreate tabel x ();\n")}
		}, "apply 998_broken.sql: line 3: "},
		{"a broken view, naming file and line", func(files fstest.MapFS) {
			files["inspect.sql"] = &fstest.MapFile{Data: []byte("create view inspect.one as select 1;\n\nselect nothing;\n")}
		}, "apply inspect.sql: line 3: "},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			before := tables(t, pool)
			files := allFiles(t)
			tc.edit(files)
			if err := migrations.UpFrom(t.Context(), pool, files, nil); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Up: %v, want %q in it", err, tc.says)
			}
			if diff := cmp.Diff(before, tables(t, pool)); diff != "" {
				t.Errorf("tables changed: %s", diff)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, "delete from backoffice_migrations where name = '002_effects'")
	exec(t, pool, "insert into backoffice_migrations (name, checksum) values ('999_later', '')")
	for _, tc := range []struct {
		rule, step string
		applied    bool
	}{
		{"River's steps are listed", "river_001_create_river_migration", true},
		{"ours are listed", "001_orders", true},
		{"a missing one has no time", "002_effects", false},
		{"so is one that only the database knows", "999_later", true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			all := steps(t, pool)
			i := slices.IndexFunc(all, func(s migrations.Step) bool { return s.Name == tc.step })
			if i < 0 || (all[i].AppliedAt != nil) != tc.applied {
				t.Errorf("%s is at %d of %+v", tc.step, i, all)
			}
		})
	}
}

func TestStatusOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	for _, step := range steps(t, emptyPool(t)) {
		if step.AppliedAt != nil {
			t.Errorf("%s was applied at %s", step.Name, step.AppliedAt)
		}
	}
}

func TestDigestIsStable(t *testing.T) {
	t.Parallel()
	if first, second := migrations.Digest(), migrations.Digest(); first != second || len(first) != 64 {
		t.Errorf("digests %q and %q", first, second)
	}
}

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
