package migrations_test

import (
	"testing"
	"testing/fstest"

	"backoffice/internal/pgtest"
	"backoffice/migrations"
)

// A role that is called backoffice, like the schema of our functions, has that schema first on its search
// path. (So has the tests' own role; here it holds for every role.)
func TestTablesStandTogetherWhateverTheRoleIsCalled(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	exec(t, connect(t, url), `do $$ begin execute format('alter database %I set search_path = backoffice, public', current_database()); end $$`)
	pool := connect(t, url)
	must(t, migrations.Up(t.Context(), pool, nil))
	files := allFiles(t)
	files["998_later.sql"] = &fstest.MapFile{Data: []byte("create table later (id bigint)")}
	must(t, migrations.UpFrom(t.Context(), pool, files, nil))
	exec(t, pool, "delete from river_migration where version = (select max(version) from river_migration)")
	must(t, migrations.UpFrom(t.Context(), pool, files, nil)) // River's steps connect by themselves
	var strayed string
	must(t, pool.QueryRow(t.Context(), `
		select coalesce(string_agg(relnamespace::regnamespace || '.' || relname, ', '), '')
		  from pg_class
		 where relkind = 'r'
		   and relnamespace in (select oid from pg_namespace where nspname in ('backoffice', 'inspect'))`).Scan(&strayed))
	if strayed != "" {
		t.Errorf("among the functions and views stand the tables %s", strayed)
	}
}
