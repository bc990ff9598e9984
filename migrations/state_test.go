package migrations_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/migrations"
)

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
		{"Backoffice without River", "drop table river_migration",
			migrations.ErrOldSchema, "behind (river_001_create_river_migration, river_002_initial_schema, "},
		{"an empty database", "drop table river_migration; drop table backoffice_migrations",
			migrations.ErrOldSchema, "behind (river_001_create_river_migration, "},
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
