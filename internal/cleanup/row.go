package cleanup

import (
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// row is a row of a target.
type row struct {
	place     pgtype.TID // its ctid, which cannot change while it is locked
	key       string
	age       pgtype.Timestamptz // which knows infinity
	bytes     int64
	locations []string
}

// String names the row for people.
func (r row) String() string {
	if len(r.locations) == 1 && r.locations[0] == r.key {
		return r.key
	}
	return strings.Join(append([]string{r.key}, r.locations...), " ")
}

func scanRow(found pgx.CollectableRow) (row row, err error) {
	err = found.Scan(&row.place, &row.key, &row.age, &row.bytes, &row.locations)
	return row, err
}

func collectInto(set map[string]bool) func(pgx.Rows) error {
	return func(found pgx.Rows) error {
		var text string
		_, err := pgx.ForEachRow(found, []any{&text}, func() error { set[text] = true; return nil })
		return err
	}
}

func keysOf(rows []row) []string {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.key
	}
	return keys
}

func locationsOf(rows []row) []string {
	locations := make([]string, 0, len(rows))
	for _, row := range rows {
		locations = append(locations, row.locations...)
	}
	return locations
}

// pathsOf answers the paths of checked locations.
func pathsOf(rows []row) []string {
	paths := make([]string, 0, len(rows))
	for _, row := range rows {
		for _, location := range row.locations {
			_, path, _ := strings.Cut(location, ":")
			paths = append(paths, path)
		}
	}
	return paths
}
