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
	if err := enqueuePlaced(ctx, tx, enq, orders); err != nil {
		return nil, placeError(len(orders), fmt.Errorf("enqueue: %w", err))
	}
	return orders, nil
}

// Check answers the ErrInvalid with which Place would refuse a draft, without a look at the database.
func Check(draft Draft) error {
	_, err := readyAll([]Draft{draft})
	return err
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

// Orders and lines are one statement, and so one round trip. A draft whose number is taken comes back
// without an id.
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
), lines as (
  insert into order_lines (order_id, line_no, line_kind, sku, description, quantity, unit_price)
  select i.id, l.line_no, l.line_kind, l.sku, l.description, l.quantity, l.unit_price::numeric
    from unnest($7::bigint[], $8::integer[], $9::text[], $10::text[], $11::text[], $12::integer[], $13::text[])
         as l(n, line_no, line_kind, sku, description, quantity, unit_price)
    join drafts d on d.n = l.n
    join inserted i on i.number = d.number
)
select i.id, d.number, i.kind, i.status, coalesce(i.country, ''), i.currency, i.placed_at
  from drafts d
  left join inserted i on i.number = d.number
 order by d.n`

// insertOrders stores headers and lines and answers the orders.
func insertOrders(ctx context.Context, tx pgx.Tx, drafts []Draft) ([]Order, error) {
	h, l := headersOf(drafts), linesOf(drafts)
	orders := make([]Order, 0, len(drafts))
	batch := &pgx.Batch{}
	batch.Queue(insertCustomersSQL, h.customers)
	batch.Queue(insertOrdersSQL, h.numbers, h.kinds, h.customers, h.countries, h.currencies, h.placed,
		l.drafts, l.numbers, l.kinds, l.skus, l.descriptions, l.quantities, l.prices).Query(func(rows pgx.Rows) error {
		var err error
		orders, err = placedOrders(rows, drafts)
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, placeError(len(drafts), err)
	}
	return orders, nil
}

// headers are the drafts' headers, column by column; null stands for the table's default.
type headers struct {
	numbers, kinds, customers, countries, currencies []*string
	placed                                           []*time.Time
}

func headersOf(drafts []Draft) (h headers) {
	for i, d := range drafts {
		h.numbers, h.kinds, h.customers = append(h.numbers, orNull(d.Number)), append(h.kinds, orNull(string(d.Kind))), append(h.customers, orNull(d.Customer))
		h.countries, h.currencies = append(h.countries, orNull(d.Country)), append(h.currencies, orNull(d.Currency))
		var placed *time.Time
		if !d.PlacedAt.IsZero() {
			placed = &drafts[i].PlacedAt
		}
		h.placed = append(h.placed, placed)
	}
	return h
}

// lines are the lines of all drafts, column by column.
type lines struct {
	drafts              []int64 // the place of the line's draft, from 1
	numbers, quantities []int32
	kinds, skus, prices []string
	descriptions        []*string
}

func linesOf(drafts []Draft) (c lines) {
	for i, d := range drafts {
		for _, l := range d.Lines {
			c.drafts, c.numbers, c.quantities = append(c.drafts, int64(i+1)), append(c.numbers, int32(l.LineNo)), append(c.quantities, int32(l.Quantity))
			c.kinds, c.skus, c.prices = append(c.kinds, string(l.Kind)), append(c.skus, l.SKU), append(c.prices, l.UnitPrice.String())
			c.descriptions = append(c.descriptions, orNull(l.Description))
		}
	}
	return c
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

// copyFrom is from how many jobs on COPY, which takes three round trips, is faster than an insert.
const copyFrom = 100

// enqueuePlaced inserts the jobs of new orders. None can have one already, unless somebody guessed its id:
// that job may be due in a thousand years, so it does not count as the order's own.
func enqueuePlaced(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, orders []Order) error {
	args := make([]jobs.ProcessOrderArgs, len(orders))
	for i, o := range orders {
		args[i].OrderID = o.ID
	}
	if len(orders) < copyFrom {
		inserted, err := enq.InsertManyTx(ctx, tx, jobs.Many(args))
		for i, result := range inserted {
			if id := orders[i].ID; result.UniqueSkippedAsDuplicate {
				return say(ErrBusy, "an order cannot be stored as order %d: unfinished job %d was enqueued for that id before there was such an order; place it again", id, result.Job.ID)
			}
		}
		return err
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
