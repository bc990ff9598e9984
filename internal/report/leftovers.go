package report

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Locking first and marking by a second statement, which sees every hold that was committed while it waited for
// the lock.
const (
	lockLeftoversSQL = `
select /* report.leftovers */ id
  from temp_files
 where location = any($1)
   and deleting_at is null
 order by id
   for update`
	markLeftoversSQL = `
update /* report.leftovers */ temp_files
   set deleting_at = clock_timestamp()
 where id = any($1)
   and not exists (select from holds where target = 'temp_files' and key = temp_files.id::text)
   and not exists (select from artifact_parts part where part.location = temp_files.location)
returning location`
	deleteLeftoversSQL = `
delete /* report.leftovers */ from temp_files
 where location = any($1)
   and deleting_at is not null`
)

// markLeftovers marks objects for deletion, by whoever comes first: the caller or cleanup. It answers those that
// nothing holds and no report needs.
func markLeftovers(ctx context.Context, tx pgx.Tx, locations []string) ([]string, error) {
	rows, err := tx.Query(ctx, lockLeftoversSQL, locations)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, markLeftoversSQL, ids); err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// removeLeftovers deletes the objects of parts that belong to nothing any more, so that they need not lie there
// until cleanup comes by. What it does not manage is cleanup's.
func (r *run) removeLeftovers(ctx context.Context) {
	if len(r.leftovers) == 0 {
		return
	}
	var marked []string
	err := postgres.InTx(ctx, r.Pool, func(tx pgx.Tx) (err error) {
		marked, err = markLeftovers(ctx, tx, r.leftovers)
		return err
	})
	var deleted []string
	for _, location := range marked {
		if err = r.Stores.Delete(ctx, location); err != nil {
			break
		}
		deleted = append(deleted, location)
	}
	if len(deleted) > 0 {
		_, gone := r.Pool.Exec(ctx, deleteLeftoversSQL, deleted)
		err = errors.Join(err, gone)
	}
	if err != nil {
		r.Log.WarnContext(ctx, "parts of a report left to cleanup", "report_id", r.id, "count", len(r.leftovers)-len(deleted), "error", err)
	}
}
