package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrNoView means that schema inspect has no view of that name.
var ErrNoView = errors.New("no such view")

// View is one view of schema inspect.
type View struct {
	Name  string `json:"name"`  // without the schema
	About string `json:"about"` // its comment: one line
}

const viewsSQL = `
select /* migrations.Views */ relname, coalesce(obj_description(oid, 'pg_class'), '')
  from pg_class
 where relkind = 'v'
   and relnamespace = to_regnamespace('inspect')
 order by relname`

// Views lists the views of schema inspect by name.
func Views(ctx context.Context, pool *pgxpool.Pool) ([]View, error) {
	rows, err := pool.Query(ctx, viewsSQL)
	if err != nil {
		return nil, fmt.Errorf("list views: %w", err)
	}
	views, err := pgx.CollectRows(rows, pgx.RowToStructByPos[View])
	if err != nil {
		return nil, fmt.Errorf("list views: %w", err)
	}
	return views, nil
}

// Rows is what a view shows: values in Postgres's own notation, nil for null, beside their columns.
type Rows struct {
	Columns []pgconn.FieldDescription
	Values  [][]*string
}

// A view with an id shows the newest rows first; the others order themselves.
const findViewSQL = `
select /* migrations.ReadView */ exists (
         select
           from pg_attribute
          where attrelid = c.oid
            and attname = 'id')
  from pg_class c
 where c.relkind = 'v'
   and c.relnamespace = to_regnamespace('inspect')
   and c.relname = $1`

// ReadView answers at most limit rows of a view of schema inspect, those with the highest id first
// where the view has one. ErrNoView: there is no such view.
func ReadView(ctx context.Context, pool *pgxpool.Pool, name string, limit int) (Rows, error) {
	var found Rows
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var hasID bool
		if err := tx.QueryRow(ctx, findViewSQL, name).Scan(&hasID); err != nil {
			return err
		}
		// Compiling the larger views takes ten times as long as running them.
		if _, err := tx.Exec(ctx, "set local jit = off"); err != nil {
			return err
		}
		sql := "select /* migrations.ReadView */ * from inspect." + pgx.Identifier{name}.Sanitize()
		if hasID {
			sql += " order by id desc"
		}
		var err error
		found, err = readText(ctx, tx, sql+" limit $1", limit)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Rows{}, fmt.Errorf("view %q: %w", name, ErrNoView)
	}
	if err != nil {
		return Rows{}, fmt.Errorf("read view %q: %w", name, err)
	}
	return found, nil
}

// readText reads any rows as text, the notation psql shows.
func readText(ctx context.Context, tx pgx.Tx, sql string, limit int) (Rows, error) {
	rows, err := tx.Query(ctx, sql, pgx.QueryResultFormats{pgx.TextFormatCode}, limit)
	if err != nil {
		return Rows{}, err
	}
	defer rows.Close()
	var found Rows
	for rows.Next() {
		values := make([]*string, len(rows.RawValues()))
		for i, raw := range rows.RawValues() {
			if raw != nil {
				text := string(raw)
				values[i] = &text
			}
		}
		found.Values = append(found.Values, values)
	}
	found.Columns = append(found.Columns, rows.FieldDescriptions()...)
	return found, rows.Err()
}
