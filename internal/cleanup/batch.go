package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/store"
)

// row is a row of a target.
type row struct {
	place     string // its ctid, which cannot change while it is locked
	key       string
	age, tie  string
	bytes     int64
	locations []string
}

// String names the row for people.
func (r row) String() string { return strings.Join(append([]string{r.key}, r.locations...), " ") }

// mostBytes bounds what one transaction deletes of objects in the database, beyond the first of a batch.
const mostBytes = 256 << 20

// The planner expects to read the whole table, however few rows the limit leaves: it would compile each
// statement for longer than it takes, and on stale statistics read and sort what an index has in order.
const planSQL = `
select /* cleanup.Run */ set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true)`

const (
	nextRowsSQL = `
select /* cleanup.Run */ t.ctid::text, {key}, ({age})::text, ({tie})::text, {bytes}, {location}
  from {table} t
 where {age} < $1::text::timestamptz
   and ({age}, {tie}) > ($2::text::timestamptz, $3::text::{tieType})
   and {where}
 order by {age}, {tie}
 limit $4`
	lockedSQL = `
   for update of t skip locked`
)

// In a statement of its own, later than the locks: see the package.
const heldSQL = `
select /* cleanup.Run */ key
  from holds
 where target = $1
   and key = any($2)`

const markRowsSQL = `
update /* cleanup.Run */ {table} t
   set deleting_at = now()
 where t.ctid = any($1::text[]::tid[])`

const deleteRowsSQL = `
delete /* cleanup.Run */ from {table} t
 where t.ctid = any($1::text[]::tid[])`

// deleteRows deletes what is older than the cutoff, batch by batch. done says that none is left.
func (r *run) deleteRows(ctx context.Context) (done bool, err error) {
	t, err := targetOf(r.policy.Target)
	if err != nil {
		return false, &refusedError{fmt.Sprintf("policy %s: %v", r.policy.Name, err)}
	}
	if r.at.tie == "" {
		r.at.tie = t.first()
	}
	if !r.resumed {
		if err := r.checkShare(ctx, t); err != nil {
			return false, err
		}
	}
	if t.objects {
		if done, err := r.finishMarked(ctx, t); err != nil || !done {
			return false, err
		}
	}
	for {
		if r.outOfTime() {
			return false, nil
		}
		begun := time.Now()
		b := &batch{run: r, target: t}
		if err := r.Fence(ctx, func(tx pgx.Tx) error { return b.work(ctx, tx) }); err != nil {
			return false, err
		}
		if len(b.marked) > 0 {
			if err := r.finish(ctx, t, b.marked); err != nil {
				return false, err
			}
		}
		if b.last {
			return true, nil
		}
		if err := r.rest(ctx, begun); err != nil {
			return false, err
		}
	}
}

// batch is one transaction's worth of rows.
type batch struct {
	*run
	target target
	last   bool  // fewer rows than asked for: none is left
	marked []row // whose objects lie outside the database
	gone   gone
}

// work locks rows, leaves out what is held or cannot be reached, and deletes or marks the others.
func (b *batch) work(ctx context.Context, tx pgx.Tx) error {
	rows, err := b.next(ctx, tx)
	if err != nil || len(rows) == 0 {
		return err
	}
	b.gone.at = &cursor{rows[len(rows)-1].age, rows[len(rows)-1].tie}
	free, err := b.free(ctx, tx, rows)
	if err != nil {
		return err
	}
	if b.dry {
		for _, row := range free {
			b.gone.add(b.target.table, row)
		}
	} else if err := b.remove(ctx, tx, free); err != nil {
		return err
	}
	if err := b.record(ctx, tx, b.gone); err != nil {
		return err
	}
	b.run.at = *b.gone.at
	return nil
}

// next answers the next old rows, locked unless the run is dry.
func (b *batch) next(ctx context.Context, tx pgx.Tx) ([]row, error) {
	statement := nextRowsSQL
	if !b.dry {
		statement += lockedSQL
	}
	var rows []row
	queries := &pgx.Batch{}
	queries.Queue(planSQL)
	queries.Queue(b.target.sql(statement), b.cutoff, b.at.age, b.at.tie, b.policy.BatchSize).Query(func(found pgx.Rows) (err error) {
		rows, err = pgx.CollectRows(found, scanRow)
		return err
	})
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

func scanRow(found pgx.CollectableRow) (row row, err error) {
	err = found.Scan(&row.place, &row.key, &row.age, &row.tie, &row.bytes, &row.locations)
	return row, err
}

// free leaves out and counts the rows that are held.
func (b *batch) free(ctx context.Context, tx pgx.Tx, rows []row) ([]row, error) {
	found, err := tx.Query(ctx, heldSQL, b.target.table, keysOf(rows))
	if err != nil {
		return nil, fmt.Errorf("look for holds: %w", err)
	}
	held := map[string]bool{}
	var key string
	if _, err := pgx.ForEachRow(found, []any{&key}, func() error { held[key] = true; return nil }); err != nil {
		return nil, fmt.Errorf("look for holds: %w", err)
	}
	if b.gone.held = int64(len(held)); len(held) == 0 {
		return rows, nil
	}
	var free []row
	for _, row := range rows {
		if !held[row.key] {
			free = append(free, row)
		}
	}
	return free, nil
}

// remove deletes rows whose objects, if any, lie in the database, and marks those with objects elsewhere.
// A row with an object that this process cannot reach stays as it is.
func (b *batch) remove(ctx context.Context, tx pgx.Tx, rows []row) error {
	var inside []row
	for _, row := range rows {
		within, err := b.within(row)
		switch {
		case err != nil:
			b.gone.fail(row, err)
		case within:
			inside = append(inside, row)
		default:
			b.marked = append(b.marked, row)
		}
	}
	if err := b.mark(ctx, tx, append(b.marked[:len(b.marked):len(b.marked)], inside...)); err != nil {
		return err
	}
	if err := b.change(ctx, tx, markRowsSQL, b.marked); err != nil {
		return err
	}
	if err := deleteObjects(ctx, tx, inside); err != nil {
		return err
	}
	if err := b.change(ctx, tx, deleteRowsSQL, inside); err != nil {
		return err
	}
	for _, row := range inside {
		b.gone.add(b.target.table, row)
	}
	return deleteDependents(ctx, tx, b.target, inside)
}

// within tells whether all objects of a row lie in the database.
func (b *batch) within(row row) (bool, error) {
	within := true
	for _, location := range row.locations {
		name, err := b.Stores.Check(location)
		if err != nil {
			return false, err
		}
		within = within && name == store.Postgres
	}
	return within, nil
}

// mark does what a target wants done when a row is marked.
func (b *batch) mark(ctx context.Context, tx pgx.Tx, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	for _, statement := range b.target.marked {
		if _, err := tx.Exec(ctx, statement, keysOf(rows)); err != nil {
			return fmt.Errorf("mark rows of %s: %w", b.target.table, err)
		}
	}
	return nil
}

var errMoved = errors.New("a locked row is no longer where it was")

// change runs a statement on locked rows.
func (b *batch) change(ctx context.Context, tx pgx.Tx, statement string, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	places := make([]string, len(rows))
	for i, row := range rows {
		places[i] = row.place
	}
	changed, err := tx.Exec(ctx, b.target.sql(statement), places)
	if err == nil && changed.RowsAffected() != int64(len(rows)) {
		err = errMoved
	}
	if err != nil {
		return fmt.Errorf("delete rows of %s: %w", b.target.table, err)
	}
	return nil
}

// deleteObjects deletes the objects of rows, all of them in the database.
func deleteObjects(ctx context.Context, tx pgx.Tx, rows []row) error {
	var paths []string
	for _, row := range rows {
		for _, location := range row.locations {
			_, path, err := store.SplitLocation(location)
			if err != nil {
				return err
			}
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	return store.DeleteInTx(ctx, tx, paths)
}

// deleteDependents deletes what other tables hold of deleted rows.
func deleteDependents(ctx context.Context, tx pgx.Tx, t target, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	for _, statement := range t.deleted {
		locations := []string{}
		for _, row := range rows {
			locations = append(locations, row.locations...)
		}
		if _, err := tx.Exec(ctx, statement, keysOf(rows), locations); err != nil {
			return fmt.Errorf("delete what belongs to rows of %s: %w", t.table, err)
		}
	}
	return nil
}

func keysOf(rows []row) []string {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.key
	}
	return keys
}
