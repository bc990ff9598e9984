package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The views of inspect are dropped before anything else changes, so that they never stand in the way
// of a step, and made anew at the end. What was granted on them meanwhile waits in a table, so that it
// survives a run that ends half-way; after a whole one the table is gone.
const createGrantsSQL = `
create schema if not exists inspect;
create table if not exists backoffice_inspect_grants (
  view_name   text not null,
  column_name text not null default '', -- '': on the whole view
  statement   text not null,
  primary key (view_name, column_name, statement)
)`

const keepGrantsSQL = `
insert /* migrations.Up */ into backoffice_inspect_grants (view_name, column_name, statement)
select g.view_name, g.column_name,
       format('grant %s%s on inspect.%I to %s%s', g.privilege, g.columns, g.view_name,
              case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
              case when g.is_grantable then ' with grant option' else '' end)
  from (select c.relname::text as view_name, '' as column_name, '' as columns,
               a.privilege_type as privilege, a.grantee, a.is_grantable
          from pg_class c, aclexplode(c.relacl) a
         where c.relkind = 'v'
           and c.relnamespace = 'inspect'::regnamespace
           and a.grantee <> c.relowner
        union all
        select c.relname, t.attname, format(' (%I)', t.attname), a.privilege_type, a.grantee, a.is_grantable
          from pg_class c
          join pg_attribute t on t.attrelid = c.oid and not t.attisdropped,
               aclexplode(t.attacl) a
         where c.relkind = 'v'
           and c.relnamespace = 'inspect'::regnamespace
           and a.grantee <> c.relowner) g
on conflict do nothing`

const listViewsSQL = `
select /* migrations.Up */ format('inspect.%I', viewname)
  from pg_views
 where schemaname = 'inspect'
 order by viewname`

// Grants on a view or column that is no more are forgotten.
const keptGrantsSQL = `
select /* migrations.Up */ g.statement
  from backoffice_inspect_grants g
 where exists (select
                 from information_schema.columns c
                where c.table_schema = 'inspect'
                  and c.table_name = g.view_name
                  and g.column_name in ('', c.column_name))
 order by g.view_name, g.statement`

// dropViews drops all views of inspect and keeps what was granted on them.
func dropViews(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return dropViewsIn(ctx, tx) })
}

func dropViewsIn(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "set local client_min_messages = warning; "+createGrantsSQL, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("make schema inspect: %w", err)
	}
	if _, err := tx.Exec(ctx, keepGrantsSQL); err != nil {
		return fmt.Errorf("keep the grants on inspect's views: %w", err)
	}
	names, err := texts(ctx, tx, listViewsSQL)
	if err != nil || len(names) == 0 {
		return err
	}
	// All in one statement, so that views may build on each other; never cascade: a view of somebody
	// else that builds on ours is not ours to drop.
	drop := "drop view " + joined(names, func(name string) string { return name })
	_, err = tx.Exec(ctx, drop)
	var refusal *pgconn.PgError
	switch {
	case errors.As(err, &refusal) && refusal.Code == "2BP01": // dependent_objects_still_exist
		return fmt.Errorf("drop inspect's views: %s; drop that, migrate, and make it again: %w", strings.ReplaceAll(refusal.Detail, "\n", "; "), err)
	case err != nil:
		return fmt.Errorf("drop inspect's views: %w", err)
	}
	return nil
}

// rebuildViews makes the views anew and gives the kept grants again, in one transaction: a reader sees
// the old views or the new ones.
func rebuildViews(ctx context.Context, conn *pgx.Conn, views string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := dropViewsIn(ctx, tx); err != nil {
			return err
		}
		if err := run(ctx, tx, "inspect", views); err != nil {
			return err
		}
		grants, err := texts(ctx, tx, keptGrantsSQL)
		if err != nil {
			return err
		}
		for _, grant := range grants {
			if _, err := tx.Exec(ctx, grant); err != nil {
				return fmt.Errorf("give a grant on inspect's views again: %s: %w", grant, err)
			}
		}
		_, err = tx.Exec(ctx, "drop table backoffice_inspect_grants")
		return err
	})
}

func texts(ctx context.Context, tx pgx.Tx, sql string) ([]string, error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
