package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// mostBytes bounds what one transaction deletes of objects in the database, beyond the first of a batch.
const mostBytes = 256 << 20

// The planner expects to read the whole table, however few rows the limit leaves: it would compile each
// statement for longer than it takes, and on stale statistics read and sort what an index has in order.
const planSQL = `
select /* cleanup.Run */ set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true)`

const (
	nextRowsSQL = `
select /* cleanup.Run */ t.ctid, {key}, {age}, {bytes}, {location}
  from {table} t
 where {age} < $1::timestamptz
   and ({age}, {tie}) > ($2::timestamptz, $3::text::{tieType})
   and {where}
 order by {age}, {tie}
 limit $4`
	lockedSQL = `
   for update of t skip locked`
)

// deleteRows deletes what is older than the cutoff, batch by batch, and then what is marked. done says that
// none is left.
func (r *run) deleteRows(ctx context.Context) (done bool, err error) {
	t, err := targetOf(r.policy.Target)
	if err != nil {
		return false, &refusedError{fmt.Sprintf("policy %s: %v", r.policy.Name, err)}
	}
	if r.capped() {
		if err := r.checkShare(ctx, t); err != nil {
			return false, err
		}
	}
	if r.at.key == "" {
		r.at.key = t.first()
	}
	if r.markedAt == nil {
		if done, err := r.deleteOld(ctx, t); err != nil || !done {
			return false, err
		}
	}
	if !t.objects {
		return true, nil
	}
	return r.finishMarked(ctx, t)
}

// deleteOld goes through the old rows. done says that all were looked at.
func (r *run) deleteOld(ctx context.Context, t target) (done bool, err error) {
	for {
		begun := time.Now()
		b := &batch{run: r, target: t}
		if err := r.Fence(ctx, func(tx pgx.Tx) error { return b.work(ctx, tx) }); err != nil {
			return false, err
		}
		if b.gone.at != nil {
			r.at = *b.gone.at
		}
		if len(b.marked) > 0 {
			if _, err := r.finish(ctx, t, b.marked, false); err != nil {
				return false, err
			}
		}
		if b.last {
			return true, nil
		}
		if err := r.rest(ctx, begun); err != nil {
			return false, err
		}
		if r.late() {
			return false, nil
		}
	}
}

// batch is one transaction's worth of rows.
type batch struct {
	*run
	target target
	holds  bool            // there are holds on rows of the target
	last   bool            // fewer rows than asked for: none is left
	marked []row           // whose objects lie outside the database
	parts  map[string]bool // of the rows' locations, parts of reports which need them no longer
	gone   gone
}

// work locks rows, leaves out what is held, needed or out of reach, and deletes or marks the others.
func (b *batch) work(ctx context.Context, tx pgx.Tx) error {
	rows, err := b.next(ctx, tx)
	if err != nil || len(rows) == 0 {
		return err
	}
	end := rows[len(rows)-1]
	b.gone.at = &cursor{end.age, end.key}
	free, err := b.free(ctx, tx, rows)
	if err != nil {
		return err
	}
	changes := &pgx.Batch{}
	b.remove(changes, free)
	b.record(changes, b.gone)
	if err := tx.SendBatch(ctx, changes).Close(); err != nil {
		return fmt.Errorf("delete rows of %s: %w", b.target.table, err)
	}
	return nil
}

// next answers the next old rows, locked unless the run is dry.
func (b *batch) next(ctx context.Context, tx pgx.Tx) (rows []row, err error) {
	statement := nextRowsSQL
	if !b.dry {
		statement += lockedSQL
	}
	queries := &pgx.Batch{}
	queries.Queue(planSQL)
	queries.Queue(b.target.sql(statement), b.cutoff, b.at.age, b.at.key, b.policy.BatchSize).Query(func(found pgx.Rows) (err error) {
		rows, err = pgx.CollectRows(found, scanRow)
		return err
	})
	queries.Queue(anyHeldSQL, b.target.table).QueryRow(func(found pgx.Row) error { return found.Scan(&b.holds) })
	if err := tx.SendBatch(ctx, queries).Close(); err != nil {
		return nil, fmt.Errorf("find old rows of %s: %w", b.target.table, err)
	}
	b.last = len(rows) < b.policy.BatchSize
	var bytes int64
	for n, row := range rows {
		if bytes += row.bytes; n > 0 && bytes > mostBytes {
			b.last = false
			return rows[:n], nil
		}
	}
	return rows, nil
}
