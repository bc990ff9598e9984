package report

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// chunkOrders is how many orders one query looks at: a fraction of a second's work.
const chunkOrders = 20_000

// boundYears is the stretch of time that one query looks for orders in.
const boundYears = 1

// The count keeps the planner from looking for the lowest and the highest id along the primary key, and
// past every order outside the period.
const boundOrdersSQL = `
select /* report.salesSummary */ coalesce(min(id), 0), coalesce(max(id), 0), count(*)
  from orders
 where placed_at >= $1
   and placed_at < $2`

// orderRange is the ids between which all orders of a period lie, both included.
type orderRange struct {
	First, Last, Count int64
}

// boundOrders finds the orders of a period: usually they came in together.
func boundOrders(ctx context.Context, db *pgxpool.Pool, since, until time.Time) (found orderRange, err error) {
	for since.Before(until) {
		next := since.AddDate(boundYears, 0, 0)
		if next.After(until) {
			next = until
		}
		year, err := readRow(ctx, db, pgx.RowToStructByPos[orderRange], boundOrdersSQL, since, next)
		if err != nil {
			return orderRange{}, err
		}
		found = found.with(year)
		since = next
	}
	return found, nil
}

func (r orderRange) with(more orderRange) orderRange {
	switch {
	case r.Count == 0:
		return more
	case more.Count == 0:
		return r
	}
	return orderRange{First: min(r.First, more.First), Last: max(r.Last, more.Last), Count: r.Count + more.Count}
}

const chunkEndSQL = `
select /* report.salesSummary */ coalesce(max(id), $2)
  from (select id
          from orders
         where id > $1
           and id <= $2
         order by id
         limit $3) as chunk`

// The processed orders of a chunk and what their lines come to. Lines and transitions of neighbouring orders
// are neighbours, too, so they are read as ranges. Amounts are added in ten-thousandths, the smallest there
// are, because Postgres adds bigint many times faster than numeric; their sums are numeric again. Gifts and
// write-offs move no money, as in the ledger. An order counts even without a line that adds anything, and
// once for each product in it.
const sumSalesSQL = `
with /* report.salesSummary */ placed as materialized (
  select o.id, o.kind, coalesce(o.country, '') as country, o.currency,
         width_bucket(o.placed_at, $5::timestamptz[]) as span
    from orders o
   where o.id > $1
     and o.id <= $2
     and o.placed_at >= $3
     and o.placed_at < $4
     and ($6 = '' or o.country = $6)
     and ($7 = '' or o.currency = $7)
     and exists (select
                   from order_transitions t
                  where t.order_id = o.id
                    and t.order_id > $1
                    and t.order_id <= $2
                    and t.to_status = 'processed'
                    and t.id <= $8)
),
sold as materialized (
  select order_id, sku, coalesce(sum(quantity) filter (where line_kind = 'item'), 0) as units,
         sum(greatest(amount, 0))::bigint as sales, sum(least(amount, 0))::bigint as returns
    from (select order_id, sku, line_kind, quantity, quantity * (unit_price * 10000)::bigint as amount
            from order_lines
           where order_id > $1
             and order_id <= $2
             and line_kind in ('item', 'adjustment')
          offset 0) as line
   group by order_id, sku
)
select p.span, p.country, p.currency, null,
       count(*) filter (where p.kind = 'sale'), count(*) filter (where p.kind = 'credit'),
       coalesce(sum(o.units), 0)::bigint, coalesce(sum(o.sales), 0) * 0.0001, coalesce(sum(o.returns), 0) * 0.0001
  from placed p
  left join (select order_id, sum(units)::bigint as units, sum(sales)::bigint as sales, sum(returns)::bigint as returns
               from sold
              group by order_id) as o on o.order_id = p.id
 group by p.span, p.country, p.currency
 union all
select null, null, p.currency, s.sku,
       count(*) filter (where p.kind = 'sale'), count(*) filter (where p.kind = 'credit'),
       sum(s.units)::bigint, sum(s.sales) * 0.0001, sum(s.returns) * 0.0001
  from placed p
  join sold s on s.order_id = p.id
 group by p.currency, s.sku`

// readSales adds up the orders of the period, chunk by chunk.
func readSales(ctx context.Context, src *Source, p *SalesSummaryParams) (*sales, error) {
	_, _, zone := p.Days()
	since, until := p.instants()
	sold := &sales{spans: p.spans(p.By), total: sums{}, bySpan: sums{}, byCountry: sums{}, byProduct: sums{}}
	marks := begins(sold.spans, zone)
	all, err := boundOrders(ctx, src.DB, since, until)
	if err != nil || all.Count == 0 {
		return sold, err
	}
	for after := all.First - 1; after < all.Last; {
		through, err := readRow(ctx, src.DB, pgx.RowTo[int64], chunkEndSQL, after, all.Last, chunkOrders)
		if err != nil {
			return nil, err
		}
		_, err = readRows(ctx, src.DB, sold.addRow, sumSalesSQL, after, through, since, until, marks, p.Country, p.Currency, src.Watermark)
		if err != nil {
			return nil, err
		}
		after = through
		src.Progress(float64(after-all.First+1)/float64(all.Last-all.First+1), 0)
	}
	return sold, sold.describe(ctx, src.DB, p.Top)
}

// addRow adds a row of sumSalesSQL: of a span and a country, or of a product.
func (s *sales) addRow(row pgx.CollectableRow) (struct{}, error) {
	var nth *int
	var country, sku *string
	var currency string
	var f figures
	err := row.Scan(&nth, &country, &currency, &sku, &f.orders, &f.credits, &f.units, &f.sales, &f.returns)
	switch {
	case err != nil:
	case sku != nil:
		s.byProduct.add(line{currency, *sku}, f)
	default:
		s.total.add(line{currency, ""}, f)
		s.bySpan.add(line{currency, s.spans[*nth-1].name}, f)
		s.byCountry.add(line{currency, *country}, f)
	}
	return struct{}{}, err
}

const describeProductsSQL = `
select /* report.salesSummary */ sku, description
  from products
 where sku = any($1)
   and description <> ''`

// describe looks up what the best products of each currency are called.
func (s *sales) describe(ctx context.Context, db *pgxpool.Pool, top int) error {
	var skus []string
	for _, currency := range s.byProduct.currencies() {
		ranked := s.byProduct.ranked(currency)
		skus = append(skus, ranked[:min(top, len(ranked))]...)
	}
	s.descriptions = make(map[string]string, len(skus))
	_, err := readRows(ctx, db, func(row pgx.CollectableRow) (struct{}, error) {
		var sku, description string
		err := row.Scan(&sku, &description)
		s.descriptions[sku] = description
		return struct{}{}, err
	}, describeProductsSQL, skus)
	return err
}
