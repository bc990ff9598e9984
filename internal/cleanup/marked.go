package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const nextMarkedSQL = `
select /* cleanup.finishMarked */ t.ctid::text, {key}, ({age})::text, ({tie})::text, {bytes}, {location}
  from {table} t
 where t.deleting_at is not null
   and {tie} > $1::text::{tieType}
 order by {tie}
 limit $2`

// finishMarked deletes what earlier runs marked and did not get to the end of: they died, or an object
// could not be deleted. done says that all were looked at.
func (r *run) finishMarked(ctx context.Context, t target) (done bool, err error) {
	for after := t.first(); ; {
		if r.outOfTime() {
			return false, nil
		}
		begun := time.Now()
		found, err := r.Pool.Query(ctx, t.sql(nextMarkedSQL), after, r.policy.BatchSize)
		if err != nil {
			return false, fmt.Errorf("find marked rows of %s: %w", t.table, err)
		}
		rows, err := pgx.CollectRows(found, scanRow)
		if err != nil {
			return false, fmt.Errorf("find marked rows of %s: %w", t.table, err)
		}
		if len(rows) == 0 {
			return true, nil
		}
		after = rows[len(rows)-1].tie
		if err := r.finish(ctx, t, rows); err != nil {
			return false, err
		}
		if err := r.rest(ctx, begun); err != nil {
			return false, err
		}
	}
}

const finishRowsSQL = `
delete /* cleanup.finish */ from {table} t
 where {tie} = any($1::text[]::{tieType}[])
   and t.deleting_at is not null
returning {key}`

// finish deletes the objects of marked rows, outside any transaction, and then the rows whose objects are
// gone. An object that cannot be deleted keeps its own row only.
func (r *run) finish(ctx context.Context, t target, rows []row) error {
	var g gone
	var emptied []row
	for _, row := range rows {
		err := r.deleteLocations(ctx, row)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			g.fail(row, err)
		default:
			emptied = append(emptied, row)
		}
	}
	return r.Fence(ctx, func(tx pgx.Tx) error {
		added := g // counted anew, should the transaction run again
		if err := r.deleteEmptied(ctx, tx, t, emptied, &added); err != nil {
			return err
		}
		return r.record(ctx, tx, added)
	})
}

// deleteLocations deletes every object of a row. A dry run only counts it.
func (r *run) deleteLocations(ctx context.Context, row row) error {
	if r.dry {
		return nil
	}
	for _, location := range row.locations {
		if err := r.Stores.Delete(ctx, location); err != nil {
			return err
		}
	}
	return nil
}

// deleteEmptied deletes rows without objects and counts those that this run, and no other at the same
// time, has deleted.
func (r *run) deleteEmptied(ctx context.Context, tx pgx.Tx, t target, rows []row, g *gone) error {
	deleted := map[string]bool{}
	if !r.dry && len(rows) > 0 {
		ties := make([]string, len(rows))
		for i, row := range rows {
			ties[i] = row.tie
		}
		found, err := tx.Query(ctx, t.sql(finishRowsSQL), ties)
		if err != nil {
			return fmt.Errorf("delete marked rows of %s: %w", t.table, err)
		}
		var key string
		if _, err := pgx.ForEachRow(found, []any{&key}, func() error { deleted[key] = true; return nil }); err != nil {
			return fmt.Errorf("delete marked rows of %s: %w", t.table, err)
		}
		if err := deleteDependents(ctx, tx, t, rows); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if r.dry || deleted[row.key] {
			g.add(t.table, row)
		}
	}
	return nil
}
