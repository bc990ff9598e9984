package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/jobs"
)

// Place stores drafts as orders, together with a process_order job for each, and answers them in the
// order given. Customers that are not known yet are created. It refuses a draft that cannot be stored
// with ErrInvalid and a number that is taken with ErrDuplicate. ErrBusy: somebody enqueued a job for an
// order of this id ahead of the order itself; placed again, it gets another id. After any error roll
// tx back.
func Place(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, drafts ...Draft) ([]Order, error) {
	if len(drafts) == 0 {
		return nil, nil
	}
	ready, err := readyAll(drafts)
	if err != nil {
		return nil, err
	}
	orders, err := insertOrders(ctx, tx, ready)
	if err != nil {
		return nil, err
	}
	if err := insertLines(ctx, tx, orders); err != nil {
		return nil, err
	}
	if err := enqueuePlaced(ctx, tx, enq, orders); err != nil {
		return nil, placeError(len(orders), fmt.Errorf("enqueue: %w", err))
	}
	return orders, nil
}

// readyAll checks every draft, and that no two claim one number.
func readyAll(drafts []Draft) ([]Draft, error) {
	ready := make([]Draft, len(drafts))
	claimed := make(map[string]bool, len(drafts))
	for i, d := range drafts {
		name := fmt.Sprintf("order %q", d.Number)
		if d.Number == "" {
			name = fmt.Sprintf("order %d of %d", i+1, len(drafts))
		} else if len(d.Number) > maxKeyBytes {
			name = "order"
		}
		var err error
		if ready[i], err = d.ready(name); err != nil {
			return nil, within(nth(i, drafts), err)
		}
		if d.Number != "" && claimed[d.Number] {
			return nil, sayOf(nth(i, drafts)+"number", ErrDuplicate, "order number %q occurs twice; number each order once", d.Number)
		}
		claimed[d.Number] = true
	}
	return ready, nil
}

// nth is where the fields of a draft stand among several.
func nth(i int, drafts []Draft) string {
	if len(drafts) == 1 {
		return ""
	}
	return fmt.Sprintf("[%d].", i)
}

// Sorted, so that two callers that create the same customers wait for each other in one direction.
const insertCustomersSQL = `
insert /* order.Place */ into customers (number)
select distinct given.number
  from unnest($1::text[]) as given(number)
 where given.number is not null
   and not exists (select from customers c where c.number = given.number)
 order by given.number
    on conflict (number) do nothing`

// A draft whose number is taken comes back without an id.
const insertOrdersSQL = `
with /* order.Place */ drafts as (
  select n, coalesce(number, gen_random_uuid()::text) as number, kind, customer, country, currency, placed_at
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
         with ordinality as d(number, kind, customer, country, currency, placed_at, n)
), inserted as (
  insert into orders (number, kind, customer_id, country, currency, placed_at, enqueued)
  select d.number, coalesce(d.kind, 'sale'), c.id, d.country, coalesce(d.currency, 'GBP'), coalesce(d.placed_at, now()), true
    from drafts d
    left join customers c on c.number = d.customer
   order by d.n
      on conflict (number) do nothing
  returning id, number, kind, status, country, currency, placed_at
)
select i.id, d.number, i.kind, i.status, coalesce(i.country, ''), i.currency, i.placed_at
  from drafts d
  left join inserted i on i.number = d.number
 order by d.n`

// insertOrders stores the headers and answers them with the drafts' lines.
func insertOrders(ctx context.Context, tx pgx.Tx, drafts []Draft) ([]Order, error) {
	n := len(drafts)
	numbers, kinds, customers := make([]*string, n), make([]*string, n), make([]*string, n)
	countries, currencies, placed := make([]*string, n), make([]*string, n), make([]*time.Time, n)
	for i, d := range drafts {
		numbers[i], kinds[i], customers[i] = orNull(d.Number), orNull(string(d.Kind)), orNull(d.Customer)
		countries[i], currencies[i] = orNull(d.Country), orNull(d.Currency)
		if !d.PlacedAt.IsZero() {
			placed[i] = &drafts[i].PlacedAt
		}
	}
	orders := make([]Order, 0, n)
	batch := &pgx.Batch{}
	batch.Queue(insertCustomersSQL, customers)
	batch.Queue(insertOrdersSQL, numbers, kinds, customers, countries, currencies, placed).Query(func(rows pgx.Rows) error {
		var err error
		orders, err = placedOrders(rows, drafts)
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, placeError(n, err)
	}
	return orders, nil
}

// placedOrders reads what insertOrdersSQL returned, one row per draft.
func placedOrders(rows pgx.Rows, drafts []Draft) ([]Order, error) {
	orders := make([]Order, 0, len(drafts))
	for rows.Next() {
		d := drafts[len(orders)]
		var (
			id                     *int64
			number                 string
			kind, status, currency *string
			country                string
			placedAt               *time.Time
		)
		if err := rows.Scan(&id, &number, &kind, &status, &country, &currency, &placedAt); err != nil {
			return nil, err
		}
		if id == nil {
			return nil, sayOf(nth(len(orders), drafts)+"number", ErrDuplicate, "order number %q is taken; choose another, or look at the stored order", number)
		}
		orders = append(orders, Order{ID: *id, Number: number, Kind: Kind(*kind), Status: Status(*status),
			Customer: d.Customer, Country: country, Currency: *currency, PlacedAt: placedAt.UTC(), Enqueued: true, Lines: d.Lines})
	}
	return orders, rows.Err()
}

const insertLinesSQL = `
insert /* order.Place */ into order_lines (order_id, line_no, line_kind, sku, description, quantity, unit_price)
select order_id, line_no, line_kind, sku, description, quantity, unit_price::numeric
  from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[])
       as l(order_id, line_no, line_kind, sku, description, quantity, unit_price)`

func insertLines(ctx context.Context, tx pgx.Tx, orders []Order) error {
	var (
		ids                 []int64
		numbers, quantities []int32
		kinds, skus, prices []string
		descriptions        []*string
	)
	for _, o := range orders {
		for _, l := range o.Lines {
			ids, numbers, quantities = append(ids, o.ID), append(numbers, int32(l.LineNo)), append(quantities, int32(l.Quantity))
			kinds, skus, prices = append(kinds, string(l.Kind)), append(skus, l.SKU), append(prices, l.UnitPrice.String())
			descriptions = append(descriptions, orNull(l.Description))
		}
	}
	if _, err := tx.Exec(ctx, insertLinesSQL, ids, numbers, kinds, skus, descriptions, quantities, prices); err != nil {
		return placeError(len(orders), err)
	}
	return nil
}

// enqueuePlaced inserts the jobs of new orders. None can have one already, unless somebody guessed its id:
// that job may be due in a thousand years, so it does not count as the order's own.
func enqueuePlaced(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, orders []Order) error {
	if len(orders) == 1 {
		id := orders[0].ID
		inserted, err := enq.InsertTx(ctx, tx, jobs.ProcessOrderArgs{OrderID: id}, nil)
		if err == nil && inserted.UniqueSkippedAsDuplicate {
			return say(ErrBusy, "an order cannot be stored as order %d: unfinished job %d was enqueued for that id before there was such an order; place it again", id, inserted.Job.ID)
		}
		return err
	}
	args := make([]jobs.ProcessOrderArgs, len(orders))
	for i, o := range orders {
		args[i].OrderID = o.ID
	}
	_, err := enq.InsertManyFastTx(ctx, tx, jobs.Many(args))
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // unique_violation
		return say(ErrBusy, "%d orders cannot be stored as orders %d to %d: an unfinished job was enqueued for one of these ids before there was such an order; place them again",
			len(orders), orders[0].ID, orders[len(orders)-1].ID)
	}
	return err
}

// placeError leaves a sentence as it is and says of any other error what was being done.
func placeError(n int, err error) error {
	if told := (sentence{}); errors.As(err, &told) {
		return told
	}
	return fmt.Errorf("place %d orders: %w", n, err)
}

// orNull stores an empty string as null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
