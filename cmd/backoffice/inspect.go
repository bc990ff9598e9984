package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/migrations"
)

// mostRows bounds what inspect reads of a view; whoever wants more has psql.
const mostRows = 10_000

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show a view of what waits, runs and fails; without a name, list the views",
		ArgsUsage: "[VIEW]",
		Description: `The views are those of schema inspect, which psql shows as well:
select * from inspect.orders where number = '536365'.

  backoffice inspect
  backoffice inspect queues
  backoffice inspect failures
  backoffice inspect orders --limit 5 --output json`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: 20, Usage: "how many `ROWS` at most, up to 10000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, mostRows); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				if c.NArg() == 0 {
					return listViews(c, pool)
				}
				return showView(c, pool, c.Args().First())
			})
		},
	}
}

func listViews(c *cli.Context, pool *pgxpool.Pool) error {
	views, err := migrations.Views(c.Context, pool)
	if err != nil {
		return err
	}
	t := newTable("VIEW", "ABOUT")
	for _, view := range views {
		t.add(view.Name, view.About)
	}
	return printRows(c, views, t, "no views; run backoffice migrate up")
}

func showView(c *cli.Context, pool *pgxpool.Pool, name string) error {
	found, err := migrations.ReadView(c.Context, pool, strings.TrimPrefix(name, "inspect."), c.Int("limit"))
	if errors.Is(err, migrations.ErrNoView) {
		return unknownView(c, pool, name)
	}
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return printViewJSON(c, found)
	}
	titles := make([]string, len(found.Columns))
	for i, column := range found.Columns {
		titles[i] = strings.ToUpper(column.Name)
		if isNumber(column) {
			titles[i] = ">" + titles[i]
		}
	}
	t := newTable(titles...)
	for _, values := range found.Values {
		row := make([]any, len(values))
		for i, value := range values {
			row[i] = viewCell(found.Columns[i], value)
		}
		t.add(row...)
	}
	return t.show(c.App.Writer, "no rows")
}

func unknownView(c *cli.Context, pool *pgxpool.Pool, name string) error {
	views, err := migrations.Views(c.Context, pool)
	if err != nil {
		return err
	}
	var names []string
	for _, view := range views {
		names = append(names, view.Name)
	}
	return usagef("there is no view %q; there are %s", name, strings.Join(names, ", "))
}

// isNumber is about alignment, so text that counts ("10,000+") is none.
func isNumber(column pgconn.FieldDescription) bool {
	switch column.DataTypeOID {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.NumericOID, pgtype.IntervalOID:
		return true
	}
	return false
}

// viewCell shows a value of a view in a table.
func viewCell(column pgconn.FieldDescription, value *string) any {
	if value == nil {
		return nil
	}
	switch column.DataTypeOID {
	case pgtype.BoolOID:
		return *value == "t"
	case pgtype.TimestamptzOID:
		if at, err := parseTimestamptz(*value); err == nil {
			return at
		}
	}
	return *value
}

// printViewJSON writes rows as objects whose keys keep the order of the view's columns. Whole numbers
// are numbers; a numeric is a string, so that nobody reads money as a float.
func printViewJSON(c *cli.Context, found migrations.Rows) error {
	rows := make([]json.RawMessage, len(found.Values))
	for n, values := range found.Values {
		fields := make([]string, len(values))
		for i, value := range values {
			column := found.Columns[i]
			encoded, err := json.Marshal(viewValue(column, value))
			if err != nil {
				return fmt.Errorf("print column %q: %w", column.Name, err)
			}
			fields[i] = fmt.Sprintf("%q:%s", column.Name, encoded)
		}
		rows[n] = json.RawMessage("{" + strings.Join(fields, ",") + "}")
	}
	return printJSON(c, rows)
}

// viewValue is a value of a view as JSON has it.
func viewValue(column pgconn.FieldDescription, value *string) any {
	if value == nil {
		return nil
	}
	switch column.DataTypeOID {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.JSONOID, pgtype.JSONBOID:
		return json.RawMessage(*value)
	case pgtype.BoolOID:
		return *value == "t"
	case pgtype.TimestamptzOID:
		if at, err := parseTimestamptz(*value); err == nil {
			return at
		}
	}
	return *value
}

// parseTimestamptz reads Postgres's notation of a session in UTC. Infinity is no time of Go's.
func parseTimestamptz(text string) (time.Time, error) {
	at, err := time.Parse("2006-01-02 15:04:05.999999999Z07", text)
	return at.UTC(), err
}
