package importer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// Customers and products are inserted in the order of their keys, orders in that of the file, so that
// two imports which meet wait for each other in one direction only. Customers are looked for first: a
// conflict would use up an id.
const insertCustomersSQL = `
insert /* importer.insertCustomers */ into customers (number)
select given.number
  from unnest($1::text[]) as given (number)
 where not exists (select from customers c where c.number = given.number)
 order by given.number
    on conflict (number) do nothing`

// A product keeps what it has: only one that is new gets the description and the opening stock.
const insertProductsSQL = `
with /* importer.insertProducts */ added as (
  insert into products (sku, description, on_hand)
  select given.sku, given.description, $3::integer
    from unnest($1::text[], $2::text[]) as given (sku, description)
   where not exists (select from products p where p.sku = given.sku)
   order by given.sku collate "C"
      on conflict (sku) do nothing
  returning sku, on_hand
)
insert into stock_movements (sku, quantity, reason, at)
select sku, on_hand, 'opening', now()
  from added
 where on_hand is not null
 order by sku`

const insertOrdersSQL = `
insert /* importer.insertOrders */ into orders (number, kind, customer_id, country, placed_at, currency, enqueued)
select given.number, given.kind, c.id, nullif(given.country, ''), given.placed_at, $6, true
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
       with ordinality as given (number, kind, customer, country, placed_at, position)
  left join customers c on c.number = given.customer
 order by given.position
    on conflict (number) do nothing
returning number, id`

// insert stores new documents with everything they need and their jobs. It answers the ids by number;
// a number that another import took meanwhile is not among them.
func (w *writer) insert(ctx context.Context, tx pgx.Tx, documents []*document) (map[string]int64, error) {
	ids := make(map[string]int64, len(documents))
	statements := w.furnishing(documents) // mostly there already
	kinds, customers, countries, placedAts := headersOf(documents)
	statements.Queue(insertOrdersSQL, numbersOf(documents), kinds, customers, countries, placedAts, w.opts.Currency).Query(func(rows pgx.Rows) error {
		var number string
		var id int64
		_, err := pgx.ForEachRow(rows, []any{&number, &id}, func() error {
			ids[number] = id
			return nil
		})
		return err
	})
	if err := tx.SendBatch(ctx, statements).Close(); err != nil {
		return nil, fmt.Errorf("insert customers, products and orders: %w", err)
	}
	if len(ids) == 0 {
		return ids, nil
	}
	if err := copyLines(ctx, tx, documents, ids); err != nil {
		return nil, err
	}
	return ids, w.enqueue(ctx, tx, documents, ids)
}

// furnishing inserts the customers and products that documents need.
func (w *writer) furnishing(documents []*document) *pgx.Batch {
	statements := &pgx.Batch{}
	statements.Queue(insertCustomersSQL, customersOf(documents))
	skus, descriptions := productsOf(documents)
	statements.Queue(insertProductsSQL, skus, descriptions, w.opts.OpeningStock)
	return statements
}

const findNumbersSQL = `
select /* importer.furnish */ number
  from orders
 where number = any($1)`

// furnish commits the customers and products of new documents ahead of these, in a short transaction:
// batches stored at the same time have many in common, and the one would wait for the other's commit.
// The batch's own transaction asks for them once more; nothing depends on what happened here.
func (w *writer) furnish(ctx context.Context, documents []*document) error {
	if len(documents) == 0 {
		return nil
	}
	err := postgres.InTx(ctx, w.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, findNumbersSQL, numbersOf(documents))
		if err != nil {
			return err
		}
		stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		slices.Sort(stored)
		fresh := slices.DeleteFunc(slices.Clone(documents), func(d *document) bool {
			_, found := slices.BinarySearch(stored, d.number)
			return found
		})
		if len(fresh) == 0 {
			return nil
		}
		return tx.SendBatch(ctx, w.furnishing(fresh)).Close()
	})
	if err != nil {
		return fmt.Errorf("store customers and products of orders %q to %q: %w", documents[0].number, documents[len(documents)-1].number, err)
	}
	return nil
}

// enqueue inserts the jobs of new orders, in the order of the file.
func (w *writer) enqueue(ctx context.Context, tx pgx.Tx, documents []*document, ids map[string]int64) error {
	args := make([]jobs.ProcessOrderArgs, 0, len(ids))
	for _, d := range documents {
		if id, ok := ids[d.number]; ok {
			args = append(args, jobs.ProcessOrderArgs{OrderID: id})
		}
	}
	if _, err := w.jobs.InsertManyFastTx(ctx, tx, jobs.Many(args)); err != nil {
		return fmt.Errorf("enqueue orders: %w", err)
	}
	return nil
}

func headersOf(documents []*document) (kinds, customers, countries []string, placedAts []time.Time) {
	for _, d := range documents {
		kinds, customers = append(kinds, string(d.kind)), append(customers, d.customer)
		countries, placedAts = append(countries, d.country), append(placedAts, d.placedAt)
	}
	return kinds, customers, countries, placedAts
}

// customersOf is each customer's number once. Guests have none.
func customersOf(documents []*document) []string {
	seen := map[string]bool{}
	for _, d := range documents {
		if d.customer != "" {
			seen[d.customer] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}

// productsOf is each sku once, with the first description that the batch has for it.
func productsOf(documents []*document) (skus, descriptions []string) {
	seen := map[string]int{}
	for _, d := range documents {
		for i := range d.rows {
			item := &d.rows[i].item
			at, ok := seen[item.SKU]
			switch {
			case !ok:
				seen[item.SKU] = len(skus)
				skus, descriptions = append(skus, item.SKU), append(descriptions, item.Description)
			case descriptions[at] == "":
				descriptions[at] = item.Description
			}
		}
	}
	return skus, descriptions
}
