package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const nextMarkedSQL = `
select /* cleanup.finishMarked */ t.ctid, {key}, {age}, {bytes}, {location}
  from {table} t
 where t.deleting_at is not null
   and {tie} > $1::text::{tieType}
 order by {tie}
 limit $2`

// finishMarked deletes what is marked: what earlier runs and this one did not get to the end of, because they
// died, their time was up, or an object could not be deleted. It comes after the old rows, so that what fails
// again and again keeps none of them waiting, and looks at each row once in a run. done says that all were
// looked at.
func (r *run) finishMarked(ctx context.Context, t target) (done bool, err error) {
	after := t.first()
	if r.markedAt != nil {
		after = *r.markedAt
	}
	for {
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
		if after, err = r.finish(ctx, t, rows, true); err != nil {
			return false, err
		}
		if err := r.rest(ctx, begun); err != nil {
			return false, err
		}
		if r.late() {
			return false, nil
		}
	}
}

const finishRowsSQL = `
delete /* cleanup.finish */ from {table} t
 where {tie} = any($1::text[]::{tieType}[])
   and t.deleting_at is not null
returning {key}`

// finish deletes the objects of marked rows, outside any transaction, and then the rows whose objects are
// gone, until the time is up. An object that cannot be deleted keeps its own row only. What is left of a batch
// is tried again at the end of the run, and counted as an error only then. It answers the key of the last
// row it looked at.
func (r *run) finish(ctx context.Context, t target, rows []row, atEnd bool) (last string, err error) {
	var g gone
	var emptied []row
	for _, row := range rows {
		err := r.deleteLocations(ctx, row)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err == nil:
			emptied = append(emptied, row)
		case atEnd:
			g.fail(row, err)
		}
		if last = row.key; r.late() {
			break
		}
	}
	if atEnd {
		g.markedAt = &last
	}
	return last, r.Fence(ctx, func(tx pgx.Tx) error {
		if err := r.deleteEmptied(ctx, tx, t, emptied, &g); err != nil {
			return err
		}
		return r.recordIn(ctx, tx, g)
	})
}

// recordIn records in a round trip of its own.
func (r *run) recordIn(ctx context.Context, tx pgx.Tx, g gone) error {
	changes := &pgx.Batch{}
	r.record(changes, g)
	if err := tx.SendBatch(ctx, changes).Close(); err != nil {
		return fmt.Errorf("record what run %d did: %w", r.id, err)
	}
	return nil
}

// deleteLocations deletes every object of a row. A dry run only asks whether this process can.
func (r *run) deleteLocations(ctx context.Context, row row) error {
	for _, location := range row.locations {
		var err error
		if r.dry {
			_, err = r.Stores.Check(location)
		} else {
			err = r.Stores.Delete(ctx, location)
		}
		if err != nil {
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
		changes := &pgx.Batch{}
		changes.Queue(t.sql(finishRowsSQL), keysOf(rows)).Query(collectInto(deleted))
		if t.deleted != "" {
			changes.Queue(t.deleted, keysOf(rows))
		}
		if t.parts { // which a run that died had yet to take off the report's list
			changes.Queue(deletePartsAtSQL, locationsOf(rows))
		}
		if err := tx.SendBatch(ctx, changes).Close(); err != nil {
			return fmt.Errorf("delete marked rows of %s: %w", t.table, err)
		}
	}
	for _, row := range rows {
		if r.dry || deleted[row.key] {
			g.add(t.table, row)
		}
	}
	return nil
}
