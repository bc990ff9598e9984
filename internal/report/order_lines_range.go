package report

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const transitionsSQL = `
select /* report.OrderLines */ coalesce(min(id), 0), coalesce(max(id), 0), count(*)
  from order_transitions
 where order_id > $1
   and order_id <= $2
   and to_status = 'processed'
   and id <= $3`

// orderLinesRange looks where the transitions of a period's orders lie, so that an export of yesterday does not
// read all history. Without a first day it begins at the beginning.
func orderLinesRange(ctx context.Context, db *pgxpool.Pool, params Params, watermark int64) (after, upto int64, err error) {
	since, until := params.(*OrderLinesParams).Bounds()
	if since == nil {
		return 0, watermark, nil
	}
	if until == nil {
		until = new(endOfTime)
	}
	var found idRange
	err = eachChunk(ctx, db, *since, *until, func(after, through int64, _ float64) error {
		of, err := readRow(ctx, db, pgx.RowToStructByPos[idRange], transitionsSQL, after, through, watermark)
		found = found.with(of)
		return err
	})
	switch {
	case err != nil:
		return 0, 0, err
	case found.Count == 0:
		return watermark, watermark, nil
	}
	return found.First - 1, found.Last, nil
}

// endOfTime is after every instant at which an order can be placed.
var endOfTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

// shareOf is how much of the ids after the first, up to the last, lies behind somebody who has come to at.
func shareOf(first, at, last int64) float64 {
	if last <= first {
		return 1
	}
	return min(float64(at-first)/float64(last-first), 1)
}
