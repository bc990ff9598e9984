package migrations_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

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
