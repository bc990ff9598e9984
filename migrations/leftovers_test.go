package migrations_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/migrations"
)

// schemaBefore is a database as it was before the step of a number.
func schemaBefore(t *testing.T, number string) *pgxpool.Pool {
	t.Helper()
	pool := emptyPool(t)
	old := fstest.MapFS{}
	for name, file := range allFiles(t) {
		if name < number {
			old[name] = file
		}
	}
	must(t, migrations.UpFrom(t.Context(), pool, old, nil))
	return pool
}

// An age that leads before the first instant of Postgres becomes the longest there is, and no other changes.
func TestAgesBeyondTheFirstInstantAreShortened(t *testing.T) {
	t.Parallel()
	pool := schemaBefore(t, "011")
	exec(t, pool, `insert into retention_policies (name, target, age) values
		('a', 'a', '30 days'), ('b', 'b', '2000 years'), ('c', 'c', '2000 years 1 day'), ('d', 'd', '100000 years')`)
	must(t, migrations.Up(t.Context(), pool, nil))
	want := []string{"a 30 days", "b 2000 years", "c 2000 years", "d 2000 years"}
	if diff := cmp.Diff(want, texts(t, pool, `select name || ' ' || age from retention_policies order by name`)); diff != "" {
		t.Errorf("the policies (-want +got):\n%s", diff)
	}
}

// A run that is under way while the schema changes was let delete before, and is not asked again in its midst.
func TestRunsOfBeforeAreTakenAsChecked(t *testing.T) {
	t.Parallel()
	pool := schemaBefore(t, "011")
	exec(t, pool, `insert into cleanup_runs (policy, target, job_id, cutoff, rows) values ('before', 'temp_files', 41, now(), 1000)`)
	must(t, migrations.Up(t.Context(), pool, nil))
	exec(t, pool, `insert into cleanup_runs (policy, target, job_id, cutoff) values ('after', 'temp_files', 42, now())`)
	if diff := cmp.Diff([]string{"before true", "after false"}, texts(t, pool, `select policy || ' ' || checked from cleanup_runs order by id`)); diff != "" {
		t.Errorf("the runs (-want +got):\n%s", diff)
	}
}
