package order

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// How many rows a page of a list holds.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

const getSQL = `
select /* order.Get */ o.id, o.number, o.kind, o.status, coalesce(c.number, ''), coalesce(o.country, ''),
       o.currency, o.placed_at, o.enqueued, coalesce(o.reason, '')
  from orders o
  left join customers c on c.id = o.customer_id
 where o.id = $1`

const getLinesSQL = `
select /* order.Get */ line_no, line_kind, sku, coalesce(description, ''), quantity, unit_price
  from order_lines
 where order_id = $1
 order by line_no`

// Get answers one order with its lines, or ErrNotFound.
func Get(ctx context.Context, db postgres.DB, id int64) (Order, error) {
	var order Order
	batch := &pgx.Batch{}
	queueGet(batch, id, &order)
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return Order{}, getError(id, err)
	}
	return order, nil
}

// queueGet reads an order and its lines into order.
func queueGet(batch *pgx.Batch, id int64, order *Order) {
	batch.Queue(getSQL, id).Query(func(rows pgx.Rows) error {
		var err error
		*order, err = pgx.CollectExactlyOneRow(rows, rowToOrder)
		return err
	})
	batch.Queue(getLinesSQL, id).Query(func(rows pgx.Rows) error {
		var err error
		order.Lines, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Line])
		return err
	})
}

func getError(id int64, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound(id)
	}
	return fmt.Errorf("get order %d: %w", id, err)
}

func notFound(id int64) error { return say(ErrNotFound, "order %d does not exist", id) }

// rowToOrder reads the columns of getSQL.
func rowToOrder(row pgx.CollectableRow) (Order, error) {
	var o Order
	err := row.Scan(&o.ID, &o.Number, &o.Kind, &o.Status, &o.Customer, &o.Country, &o.Currency, &o.PlacedAt, &o.Enqueued, &o.Reason)
	o.PlacedAt = o.PlacedAt.UTC()
	return o, err
}

const findByNumberSQL = `
select /* order.FindByNumber */ id
  from orders
 where number = $1`

// FindByNumber answers the id of the order of that number, or ErrNotFound.
func FindByNumber(ctx context.Context, db postgres.DB, number string) (int64, error) {
	var id int64
	err := pgx.ErrNoRows
	if storable(number) {
		err = db.QueryRow(ctx, findByNumberSQL, number).Scan(&id)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, say(ErrNotFound, "order number %q does not exist", number)
	}
	if err != nil {
		return 0, fmt.Errorf("find order number %q: %w", number, err)
	}
	return id, nil
}

// Filter says which orders to list. Zero values leave a field out.
type Filter struct {
	Status   Status
	Kind     Kind
	Customer string // the customer's number
	After    int64  // the id that the last page ended with; 0: from the newest
	Limit    int    // at most MaxLimit; 0: DefaultLimit
}

const listSQL = `
select /* order.List */ o.id, o.number, o.kind, o.status, coalesce(c.number, ''), coalesce(o.country, ''),
       o.currency, o.placed_at, o.enqueued, coalesce(o.reason, '')
  from orders o
  left join customers c on c.id = o.customer_id
 where ($1 = '' or o.status = $1)
   and ($2 = '' or o.kind = $2)
   and ($3 = '' or o.customer_id = (select known.id from customers known where known.number = $3))
   and ($4::bigint = 0 or o.id < $4)
 order by o.id desc
 limit $5`

// List answers orders without their lines, those that were stored last first.
func List(ctx context.Context, db postgres.DB, f Filter) ([]Order, error) {
	limit, err := f.check()
	if err != nil || !storable(f.Customer) {
		return nil, err
	}
	rows, err := db.Query(ctx, listSQL, string(f.Status), string(f.Kind), f.Customer, f.After, limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, rowToOrder)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return orders, nil
}

// ListWindow is how many orders one page of Page looks at.
const ListWindow = 20_000

// The window is bounded before the filters are asked: a filter that nothing matches would read to the end.
const listWindowSQL = `
select /* order.Page */` + recentColumns + `
  from (select id, number, kind, status, customer_id, country, currency, placed_at, enqueued, reason
          from orders
         where id < $3
         order by id desc
         limit $5) o
 where ($1 = '' or o.status = $1)
   and ($2 = '' or o.kind = $2)
 order by o.id desc
 limit $4`

// A customer's orders have an index of their own, so the window holds nothing but them.
const customerWindowSQL = `
select /* order.Page */` + recentColumns + `
  from (select id, number, kind, status, customer_id, country, currency, placed_at, enqueued, reason
          from orders
         where customer_id = (select known.id from customers known where known.number = $6)
           and id < $3
         order by id desc
         limit $5) o
 where ($1 = '' or o.status = $1)
   and ($2 = '' or o.kind = $2)
 order by o.id desc
 limit $4`

const customerLookedAtSQL = `
select /* order.Page */ coalesce(min(id), 0), count(*)
  from (select id
          from orders
         where customer_id = (select known.id from customers known where known.number = $3)
           and id < $1
         order by id desc
         limit $2) looked_at`

// Page is List among the ListWindow orders after f.After at most, those of the customer if one is given. next
// is the id to go on after, 0 when that was all: a page may hold few orders, or none, and still have a next.
func Page(ctx context.Context, db postgres.DB, f Filter) (found []Order, next int64, err error) {
	if f.Limit, err = f.check(); err != nil || !storable(f.Customer) {
		return nil, 0, err
	}
	if f.After <= 0 {
		f.After = math.MaxInt64
	}
	window, looking := listWindowSQL, lookedAtSQL
	windowArgs := []any{string(f.Status), string(f.Kind), f.After, f.Limit, ListWindow}
	lookingArgs := []any{f.After, ListWindow}
	if f.Customer != "" {
		window, looking = customerWindowSQL, customerLookedAtSQL
		windowArgs, lookingArgs = append(windowArgs, f.Customer), append(lookingArgs, f.Customer)
	}
	var oldest, looked int64
	batch := &pgx.Batch{}
	batch.Queue(window, windowArgs...).Query(func(rows pgx.Rows) error {
		found, err = pgx.CollectRows(rows, rowToOrder)
		return err
	})
	batch.Queue(looking, lookingArgs...).QueryRow(func(row pgx.Row) error { return row.Scan(&oldest, &looked) })
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("list orders: %w", err)
	}
	switch {
	case len(found) == f.Limit:
		next = found[f.Limit-1].ID
	case looked == ListWindow:
		next = oldest
	}
	return found, next, nil
}

// check refuses what no order can match and answers the number of orders asked for.
func (f Filter) check() (limit int, err error) {
	switch {
	case f.Status != "" && !f.Status.known():
		return 0, sayOf("status", ErrInvalid, "status %q is unknown; use placed, awaiting_stock, processed, rejected or cancelled", f.Status)
	case f.Kind != "" && !f.Kind.known():
		return 0, sayOf("kind", ErrInvalid, "kind %q is unknown; use sale, credit or adjustment", f.Kind)
	}
	return pageLimit(f.Limit)
}

// pageLimit is the number of rows asked for, or the default.
func pageLimit(limit int) (int, error) {
	switch {
	case limit == 0:
		return DefaultLimit, nil
	case limit < 0 || limit > MaxLimit:
		return 0, sayOf("limit", ErrInvalid, "limit %d is out of range; use 1 to %d", limit, MaxLimit)
	}
	return limit, nil
}
