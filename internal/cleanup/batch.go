package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"backoffice/internal/store"
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

const markRowsSQL = `
update /* cleanup.Run */ {table} t
   set deleting_at = now()
 where t.ctid = any($1::tid[])`

const deleteRowsSQL = `
delete /* cleanup.Run */ from {table} t
 where t.ctid = any($1::tid[])`

// deleteRows deletes what is older than the cutoff, batch by batch. done says that none is left.
func (r *run) deleteRows(ctx context.Context) (done bool, err error) {
	t, err := targetOf(r.policy.Target)
	if err != nil {
		return false, &refusedError{fmt.Sprintf("policy %s: %v", r.policy.Name, err)}
	}
	if r.at.key == "" {
		r.at.key = t.first()
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
		if b.gone.at != nil {
			r.at = *b.gone.at
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
	if b.dry {
		for _, row := range free {
			b.gone.add(b.target.table, row)
		}
	} else {
		b.remove(changes, free)
	}
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

func collectInto(set map[string]bool) func(pgx.Rows) error {
	return func(found pgx.Rows) error {
		var text string
		_, err := pgx.ForEachRow(found, []any{&text}, func() error { set[text] = true; return nil })
		return err
	}
}

// remove queues what deletes rows whose objects, if any, lie in the database, and what marks those with
// objects elsewhere. A row with an object that this process cannot reach stays as it is.
func (b *batch) remove(changes *pgx.Batch, rows []row) {
	var inside []row
	for _, row := range rows {
		within, err := b.within(row)
		switch {
		case err != nil:
			b.gone.fail(row, err)
		case within:
			inside = append(inside, row)
			b.gone.add(b.target.table, row)
		default:
			b.marked = append(b.marked, row)
		}
	}
	if b.target.marked != "" && len(inside)+len(b.marked) > 0 {
		changes.Queue(b.target.marked, append(keysOf(inside), keysOf(b.marked)...))
	}
	b.change(changes, markRowsSQL, b.marked)
	if paths := pathsOf(inside); len(paths) > 0 {
		store.DeleteIn(changes, paths)
	}
	b.change(changes, deleteRowsSQL, inside)
	if b.target.deleted != "" && len(inside) > 0 {
		changes.Queue(b.target.deleted, keysOf(inside))
	}
	var unlisted []string // also those of marked rows: nobody reads them any more
	for _, location := range append(locationsOf(inside), locationsOf(b.marked)...) {
		if b.parts[location] {
			unlisted = append(unlisted, location)
		}
	}
	if len(unlisted) > 0 {
		changes.Queue(deletePartsAtSQL, unlisted)
	}
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

var errMoved = errors.New("a locked row is no longer where it was")

// change queues a statement on locked rows.
func (b *batch) change(changes *pgx.Batch, statement string, rows []row) {
	if len(rows) == 0 {
		return
	}
	places := make([]pgtype.TID, len(rows))
	for i, row := range rows {
		places[i] = row.place
	}
	changes.Queue(b.target.sql(statement), places).Exec(func(changed pgconn.CommandTag) error {
		if changed.RowsAffected() != int64(len(rows)) {
			return errMoved
		}
		return nil
	})
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
