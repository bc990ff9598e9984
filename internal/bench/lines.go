package bench

import (
	"context"
	"fmt"
)

// fillLinesSQL stores processed orders by plain SQL, which is soon enough for millions; every rule holds. $1 is
// the number of the first, $2 of the last.
const fillLinesSQL = `
with /* bench.fillLines */ stored as (
  insert into orders (number, customer_id, country, placed_at, enqueued)
  select format('L-%s', lpad(n::text, 9, '0')), (select min(id) from customers) + n % $3::int,
         (array['United Kingdom', 'United Kingdom', 'United Kingdom', 'Germany', 'France', 'EIRE'])[n % 6 + 1],
         timestamptz '2025-01-01 00:00Z' + n * interval '7 seconds', true
    from generate_series($1::bigint, $2::bigint) n
  returning id
), lines as (
  insert into order_lines (order_id, line_no, sku, description, quantity, unit_price)
  select id, line_no, format('P-%s', lpad(product::text, 5, '0')), format('Product %s', product), 1 + product % 12, (50 + product * 37 % 1950) / 100.0
    from stored
   cross join generate_series(1, $4::int) line_no
   cross join lateral (select (id * 31 + line_no * 997) % $3::int as product) chosen
), effects as (
  insert into order_effects (order_id, effect, applied_at)
  select id, effect, now()
    from stored
   cross join unnest('{stock,ledger}'::text[]) effect
)
insert into order_transitions (order_id, from_status, to_status, at)
select id, 'placed', 'processed', timestamptz '2025-06-01 00:00Z' + id * interval '1 millisecond'
  from stored
 order by id`

// The rest is written from what is stored, and once for all.
const (
	fillCustomersSQL = `
insert /* bench.fillLines */ into customers (number)
select format('C-%s', lpad(n::text, 5, '0'))
  from generate_series(0, $1 - 1) n`
	bookLinesSQL = `
insert /* bench.fillLines */ into ledger_entries (order_id, account, amount, at)
select total.order_id, side.account, side.sign * total.amount, now()
  from (select order_id, sum(quantity * unit_price) as amount
          from order_lines
         group by order_id) total
 cross join (values ('receivable', 1), ('revenue', -1)) side (account, sign)`
	closeLinesSQL = `
update /* bench.fillLines */ orders
   set status = 'processed'
 where status = 'placed'`
)

// fillLinesBatch is how many orders one statement stores.
const fillLinesBatch = 50_000

// fillLines stores the catalogue and orders that come to so many lines, all processed.
func fillLines(ctx context.Context, db *Database, lines int) error {
	if err := fillCatalogue(ctx, db); err != nil {
		return err
	}
	if _, err := db.Pool.Exec(ctx, fillCustomersSQL, catalogue); err != nil {
		return fmt.Errorf("generate customers: %w", err)
	}
	orders := max(lines/linesPerOrder, 1)
	for first := 1; first <= orders; first += fillLinesBatch {
		last := min(first+fillLinesBatch-1, orders)
		if _, err := db.Pool.Exec(ctx, fillLinesSQL, first, last, catalogue, linesPerOrder); err != nil {
			return fmt.Errorf("generate order lines: %w", err)
		}
	}
	for _, sql := range []string{bookLinesSQL, closeLinesSQL} {
		if _, err := db.Pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("generate order lines: %w", err)
		}
	}
	return nil
}

// lines is the template of processed orders that come to Settings.Lines lines.
func (l *Lab) lines(ctx context.Context) (Template, error) {
	return l.Template(ctx, "lines", func(ctx context.Context, db *Database) error {
		return fillLines(ctx, db, l.lineCount())
	})
}

// lineCount is how many lines an export has: whole orders.
func (l *Lab) lineCount() int {
	return max(l.Settings.Few(l.Settings.Lines, 4_000)/linesPerOrder, 1) * linesPerOrder
}
