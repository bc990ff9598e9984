package cleanup

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"backoffice/internal/store"
)

const markRowsSQL = `
update /* cleanup.Run */ {table} t
   set deleting_at = now()
 where t.ctid = any($1::tid[])`

const deleteRowsSQL = `
delete /* cleanup.Run */ from {table} t
 where t.ctid = any($1::tid[])`

// remove queues what deletes rows whose objects, if any, lie in the database, and what marks those with
// objects elsewhere. A row with an object that this process cannot reach stays as it is. A dry run queues
// nothing, and counts what would go.
func (b *batch) remove(changes *pgx.Batch, rows []row) {
	var inside []row
	for _, row := range rows {
		within, err := b.within(row)
		switch {
		case err != nil:
			b.gone.fail(row, err)
		case b.dry:
			b.gone.add(b.target.table, row)
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
