package report

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// chunkOrders is how many orders one query looks at: a fraction of a second's work.
const chunkOrders = 20_000

// boundYears is how many years one query looks for orders in. Few were placed in the future: those take one.
const boundYears = 1

// The count keeps the planner from looking for the lowest and the highest id along the primary key, and
// past every order outside the period.
const boundOrdersSQL = `
select /* report.eachChunk */ coalesce(min(id), 0), coalesce(max(id), 0), count(*)
  from orders
 where placed_at >= $1
   and placed_at < $2`

// idRange is the ids between which all rows of a set lie, both included, and how many those rows are.
type idRange struct {
	First, Last, Count int64
}

// boundOrders finds the orders of a period: usually they came in together.
func boundOrders(ctx context.Context, db *pgxpool.Pool, since, until time.Time) (found idRange, err error) {
	for since.Before(until) {
		next := since.AddDate(boundYears, 0, 0)
		if next.After(until) || since.After(time.Now()) {
			next = until
		}
		year, err := readRow(ctx, db, pgx.RowToStructByPos[idRange], boundOrdersSQL, since, next)
		if err != nil {
			return idRange{}, err
		}
		found = found.with(year)
		since = next
	}
	return found, nil
}

func (r idRange) with(more idRange) idRange {
	switch {
	case r.Count == 0:
		return more
	case more.Count == 0:
		return r
	}
	return idRange{First: min(r.First, more.First), Last: max(r.Last, more.Last), Count: r.Count + more.Count}
}

const chunkEndSQL = `
select /* report.eachChunk */ coalesce(max(id), $2)
  from (select id
          from orders
         where id > $1
           and id <= $2
         order by id
         limit $3) as chunk`

// eachChunk visits the orders of a period, chunkOrders at most at a time: those with an id above after, up
// to through. Others lie between them. done is the share of the work that ends with the chunk.
func eachChunk(ctx context.Context, db *pgxpool.Pool, since, until time.Time, visit func(after, through int64, done float64) error) error {
	all, err := boundOrders(ctx, db, since, until)
	if err != nil || all.Count == 0 {
		return err
	}
	for after := all.First - 1; after < all.Last; {
		through, err := readRow(ctx, db, pgx.RowTo[int64], chunkEndSQL, after, all.Last, chunkOrders)
		if err != nil {
			return err
		}
		if err := visit(after, through, float64(through-all.First+1)/float64(all.Last-all.First+1)); err != nil {
			return err
		}
		after = through
	}
	return nil
}

// placedSQL is the processed orders of a chunk ($1 and $2) in a period ($3 and $4), of a currency unless $5
// is empty, up to the watermark $6. Transitions of neighbouring orders are neighbours, too, and so are lines:
// they are read as ranges.
const placedSQL = `placed as materialized (
  select o.id, o.kind, o.customer_id, coalesce(o.country, '') as country, o.currency, o.placed_at
    from orders o
   where o.id > $1
     and o.id <= $2
     and o.placed_at >= $3
     and o.placed_at < $4
     and ($5 = '' or o.currency = $5)
     and exists (select
                   from order_transitions t
                  where t.order_id = o.id
                    and t.order_id > $1
                    and t.order_id <= $2
                    and t.to_status = 'processed'
                    and t.id <= $6)
)`

// postedSQL is the lines of a chunk that post to the ledger: gifts and write-offs move no money. Amounts are
// in ten-thousandths, the smallest there are, because Postgres adds bigint many times faster than numeric;
// "offset 0" keeps it from working one out for every sum that takes it.
const postedSQL = `posted as (
  select order_id, sku, line_kind, quantity, quantity * (unit_price * 10000)::bigint as amount
    from order_lines
   where order_id > $1
     and order_id <= $2
     and line_kind in ('item', 'adjustment')
  offset 0
)`
