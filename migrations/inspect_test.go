package migrations_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/migrations"
)

const twoViews = `
create view inspect.base as select 1 as id, 'x' as secret;
create view inspect.derived as select id from inspect.base;`

func TestGrantsOnViewsAreGivenAgain(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	files := fstest.MapFS{"inspect.sql": {Data: []byte(twoViews)}}
	must(t, migrations.UpFrom(t.Context(), pool, files, nil))
	reader, lead := makeRole(t, pool), makeRole(t, pool)
	for _, grant := range []string{
		"grant usage on schema inspect to " + reader,
		"grant select on inspect.derived to public",
		"grant select on inspect.base to " + lead + " with grant option",
		"grant select (id) on inspect.base to " + reader,
	} {
		exec(t, pool, grant)
	}
	before := grants(t, pool)
	if len(before) != 4 {
		t.Fatalf("granted %q", before)
	}
	must(t, migrations.UpFrom(t.Context(), pool, files, nil))
	if diff := cmp.Diff(before, grants(t, pool)); diff != "" {
		t.Errorf("grants changed: %s", diff)
	}

	t.Run("also after a run that failed half-way", func(t *testing.T) {
		files["001_broken.sql"] = &fstest.MapFile{Data: []byte("select nothing")}
		if err := migrations.UpFrom(t.Context(), pool, files, nil); err == nil {
			t.Fatal("a broken file was applied")
		}
		if got := views(t, pool); len(got) > 0 {
			t.Errorf("views %q would stand in the way of the step", got)
		}
		delete(files, "001_broken.sql")
		must(t, migrations.UpFrom(t.Context(), pool, files, nil))
		if diff := cmp.Diff(before, grants(t, pool)); diff != "" {
			t.Errorf("grants changed: %s", diff)
		}
	})
	t.Run("but not on views and columns that are no more", func(t *testing.T) {
		files["inspect.sql"] = &fstest.MapFile{Data: []byte("create view inspect.base as select 'x' as secret")}
		must(t, migrations.UpFrom(t.Context(), pool, files, nil))
		want := []string{"base " + lead + " SELECT true", "schema " + reader + " USAGE false"}
		if diff := cmp.Diff(want, grants(t, pool)); diff != "" {
			t.Errorf("grants: %s", diff)
		}
	})
}

func TestViewsAreMadeAnew(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	must(t, migrations.UpFrom(t.Context(), pool, fstest.MapFS{"inspect.sql": {Data: []byte(twoViews)}}, nil))
	must(t, migrations.UpFrom(t.Context(), pool, fstest.MapFS{
		"001_things.sql": {Data: []byte("create table things (id bigint)")},
		"inspect.sql":    {Data: []byte("create view inspect.things as select id from things")},
	}, nil))
	if diff := cmp.Diff([]string{"things"}, views(t, pool)); diff != "" {
		t.Errorf("views: %s", diff)
	}
	t.Run("so a step may change what a view shows", func(t *testing.T) {
		must(t, migrations.UpFrom(t.Context(), pool, fstest.MapFS{
			"001_things.sql": {Data: []byte("create table things (id bigint)")},
			"002_text.sql":   {Data: []byte("alter table things alter id type text")},
			"inspect.sql":    {Data: []byte("create view inspect.things as select id from things")},
		}, nil))
	})
}

func TestForeignViewOnOursIsNeverDropped(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	files := fstest.MapFS{"inspect.sql": {Data: []byte(twoViews)}}
	must(t, migrations.UpFrom(t.Context(), pool, files, nil))
	exec(t, pool, "create view public.mine as select id from inspect.base")
	err := migrations.UpFrom(t.Context(), pool, files, nil)
	if err == nil || !strings.Contains(err.Error(), "view mine depends on view inspect.base; drop that, migrate, and make it again") {
		t.Errorf("Up: %v", err)
	}
	exec(t, pool, "select id from public.mine")
}

func views(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return texts(t, pool, "select viewname from pg_views where schemaname = 'inspect' order by 1")
}

// grants lists what was granted in inspect to others than the owner.
func grants(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return texts(t, pool, `
		select what || ' ' || case when grantee = 0 then 'public' else pg_get_userbyid(grantee) end || ' ' || privilege_type || ' ' || is_grantable
		  from (select relname as what, (aclexplode(relacl)).*, relowner as owner
		          from pg_class
		         where relnamespace = 'inspect'::regnamespace
		        union all
		        select relname || '.' || attname, (aclexplode(attacl)).*, relowner
		          from pg_attribute join pg_class c on c.oid = attrelid
		         where relnamespace = 'inspect'::regnamespace
		        union all
		        select 'schema', (aclexplode(nspacl)).*, nspowner
		          from pg_namespace
		         where nspname = 'inspect') g
		 where grantee <> owner
		 order by 1`)
}

// makeRole makes a role that no other test uses: roles belong to the whole server.
func makeRole(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	name := texts(t, pool, "select 'reader_' || translate(gen_random_uuid()::text, '-', '')")[0]
	exec(t, pool, "create role "+name)
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), "drop owned by "+name+"; drop role "+name, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Error(err)
		}
	})
	return name
}
