package cleanup

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// In statements of their own, later than the locks: see the package. Mostly there is no hold at all, which is
// found out without asking for each key.
const (
	anyHeldSQL = `
select /* cleanup.Run */ (select count(*) from (select from holds where target = $1 limit 1) some_hold) > 0`
	heldSQL = `
select /* cleanup.Run */ key
  from holds
 where target = $1
   and key = any($2)`
)

// free leaves out the rows that are held, which it counts, and those that something else needs.
func (b *batch) free(ctx context.Context, tx pgx.Tx, rows []row) (free []row, err error) {
	held, needed := map[string]bool{}, map[string]bool{}
	queries := &pgx.Batch{}
	if b.holds {
		queries.Queue(heldSQL, b.target.table, keysOf(rows)).Query(collectInto(held))
	}
	if b.target.parts {
		queries.Queue(partsSQL, locationsOf(rows)).Query(b.collectParts(needed))
	}
	if queries.Len() == 0 {
		return rows, nil
	}
	if err := tx.SendBatch(ctx, queries).Close(); err != nil {
		return nil, fmt.Errorf("look for holds on rows of %s: %w", b.target.table, err)
	}
	b.gone.held = int64(len(held))
	if len(held)+len(needed) == 0 {
		return rows, nil
	}
	for _, row := range rows {
		if !held[row.key] && (len(row.locations) == 0 || !needed[row.locations[0]]) {
			free = append(free, row)
		}
	}
	return free, nil
}

// collectParts reads which locations are parts of reports: those that are needed, and the others.
func (b *batch) collectParts(needed map[string]bool) func(pgx.Rows) error {
	return func(found pgx.Rows) error {
		var location string
		var isNeeded bool
		b.parts = map[string]bool{}
		_, err := pgx.ForEachRow(found, []any{&location, &isNeeded}, func() error {
			if isNeeded {
				needed[location] = true
			} else {
				b.parts[location] = true
			}
			return nil
		})
		return err
	}
}
