package report

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// An order counts even without a line that adds anything, and once for each product in it.
const sumSalesSQL = `
with /* report.salesSummary */ ` + placedSQL + `,
` + postedSQL + `,
sold as materialized (
  select order_id, sku, coalesce(sum(quantity) filter (where line_kind = 'item'), 0) as units,
         sum(greatest(amount, 0))::bigint as sales, sum(least(amount, 0))::bigint as returns
    from posted
   group by order_id, sku
),
asked as (
  select id, kind, country, currency, width_bucket(placed_at, $7::timestamptz[]) as span
    from placed
   where ($8 = '' or country = $8)
)
select a.span, a.country, a.currency, null,
       count(*) filter (where a.kind = 'sale'), count(*) filter (where a.kind = 'credit'),
       coalesce(sum(o.units), 0)::bigint, coalesce(sum(o.sales), 0) * 0.0001, coalesce(sum(o.returns), 0) * 0.0001
  from asked a
  left join (select order_id, sum(units)::bigint as units, sum(sales)::bigint as sales, sum(returns)::bigint as returns
               from sold
              group by order_id) as o on o.order_id = a.id
 group by a.span, a.country, a.currency
 union all
select null, null, a.currency, s.sku,
       count(*) filter (where a.kind = 'sale'), count(*) filter (where a.kind = 'credit'),
       sum(s.units)::bigint, sum(s.sales) * 0.0001, sum(s.returns) * 0.0001
  from asked a
  join sold s on s.order_id = a.id
 group by a.currency, s.sku`

// readSales adds up the orders of the period, chunk by chunk.
func readSales(ctx context.Context, src *Source, p *SalesSummaryParams) (*sales, error) {
	_, _, zone := p.Days()
	since, until := p.instants()
	sold := &sales{spans: p.spans(p.By), total: sums{}, bySpan: sums{}, byCountry: sums{}, byProduct: sums{}}
	marks := begins(sold.spans, zone)
	err := eachChunk(ctx, src.DB, since, until, func(after, through int64, done float64) error {
		_, err := readRows(ctx, src.DB, sold.addRow, sumSalesSQL, after, through, since, until, p.Currency, src.Watermark, marks, p.Country)
		src.Progress(done, 0)
		return err
	})
	if err != nil {
		return nil, err
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
