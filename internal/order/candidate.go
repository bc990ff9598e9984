package order

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"
)

// candidate is an order under decision: what was read of it, then what became of it.
type candidate struct {
	id       int64
	kind     Kind
	was      Status // before this call
	placedAt time.Time
	hasLines bool
	amount   decimal.Decimal // what it posts to the ledger
	shares   []share         // by sku and reason; tracked products only
	nets     []share         // by sku: the shares summed over their reasons

	status Status
	reason string
	short  []shortage // what it waits for
	err    error      // why it cannot be settled now
}

// share is what an order does to one tracked product for one reason.
type share struct {
	sku      string
	reason   string // of stock_movements
	quantity int64  // above zero: into stock
}

// shortage is how many units of a product must be on hand before an order can take its share.
type shortage struct {
	sku    string
	needed int64
}

// What this package looks up it finds by key. A statement planned while the tables were small would read
// them whole, and go on to as they grow: plans are kept. And with statistics that are missing or stale the
// planner believes that the lookups below are expensive and has them compiled: over 100 ms each time, for
// statements that take 3.
const planSQL = `
select /* order */ set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)`

// Many orders may want the same popular product, and take turns. Whoever waits for longer than turns
// take is better off later, and gives back meanwhile what it has locked: see ErrBusy.
const waitBrieflySQL = `set /* order.Process */ local lock_timeout = '250ms'`

// FOR UPDATE, not the weaker NO KEY UPDATE: it meets a line that is being added to the order, and keeps
// others out until the order's status is committed. One locked order must not hold up the others.
//
// The key of order_effects would stop an order whose effects are recorded already, and with it the whole
// set; looked at here, it stops that order alone. A subquery with a limit cannot become a join or a hash.
const lockOrdersSQL = `
select /* order.Process */ id, kind, status, coalesce(reason, ''), placed_at,
       (select e.effect from order_effects e where e.order_id = orders.id limit 1) is not null
  from orders
 where id = any($1)
 order by id
   for update skip locked`

const lockedOrdersSQL = `
select /* order.Process */ id
  from orders
 where id = any($1)`

// Sorted, so that two transactions that want the same products wait in one direction. A final order
// has taken its share already.
//
// Here and below, lines are looked up order by order ("offset 0" keeps the planner from turning that
// into a join) and keys come from subqueries as arrays. With statistics that are missing or stale,
// plain joins read the whole of order_lines or orders for a handful of orders.
const lockProductsSQL = `
select /* order.Process */ sku, on_hand
  from products
 where on_hand is not null
   and sku = any(array(select distinct line.sku
                         from unnest($1::bigint[]) as wanted(id)
                        cross join lateral (select l.sku
                                              from order_lines l
                                             where l.order_id = wanted.id
                                               and l.line_kind <> 'adjustment'
                                            offset 0) as line
                        where (select o.status from orders o where o.id = wanted.id) in ('placed', 'awaiting_stock')))
 order by sku
   for update`

// Lines of untracked products need no row each: they differ in nothing that matters here. A write-off
// takes stock however its quantity is signed.
const sumLinesSQL = `
select /* order.Process */ line.order_id, line.tracked, line.line_kind, line.on_hand,
       sum(case when line.line_kind = 'write_off' then abs(line.quantity::bigint) else line.quantity end)::bigint,
       sum(line.quantity * line.unit_price)::text
  from (select looked_up.order_id, looked_up.line_kind, looked_up.quantity, looked_up.unit_price, looked_up.on_hand,
               case when looked_up.on_hand is null then '' else looked_up.sku end as tracked
          from unnest($1::bigint[]) as wanted(id)
         cross join lateral (select l.order_id, l.line_kind, l.quantity, l.unit_price, l.sku,
                                    (select p.on_hand from products p where p.sku = l.sku) as on_hand
                               from order_lines l
                              where l.order_id = wanted.id
                             offset 0) as looked_up) as line
 group by line.order_id, line.tracked, line.line_kind, line.on_hand
 order by line.order_id, line.tracked, line.line_kind`

// locks says when a call of Process takes the locks of products.
type locks int

const (
	locksLast  locks = iota // with the last statements: see ProcessQuick
	locksFirst              // before stock is read
	locksFree               // before stock is read, and only those that are free
)

// lockAndRead locks orders, then, unless that is for last, the tracked products of those that are not
// final, then reads, in a statement that sees what earlier holders of the locks committed, what each
// order asks for.
func lockAndRead(ctx context.Context, tx pgx.Tx, ids []int64, locks locks) (map[int64]*candidate, *stock, error) {
	orders := make(map[int64]*candidate, len(ids))
	batch := &pgx.Batch{}
	batch.Queue(planSQL)
	batch.Queue(waitBrieflySQL)
	batch.Queue(lockOrdersSQL, ids).Query(func(rows pgx.Rows) error {
		var c candidate
		var applied bool
		return eachRow(rows, []any{&c.id, &c.kind, &c.was, &c.reason, &c.placedAt, &applied}, func() {
			locked := c
			locked.status = c.was
			if applied && !c.was.Final() {
				locked.err = fmt.Errorf("order %d is %s, yet its effects are recorded: see backoffice verify", c.id, c.was)
			}
			orders[c.id] = &locked
		})
	})
	stock := queueRead(batch, ids, orders, locks)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, err
	}
	return orders, stock, findLocked(ctx, tx, ids, orders)
}

// queueRead reads what the orders ask for, and the stock of it.
func queueRead(batch *pgx.Batch, ids []int64, orders map[int64]*candidate, locks locks) *stock {
	stock := newStock()
	lock := func(sql string) {
		batch.Queue(sql, ids).Query(func(rows pgx.Rows) error {
			var sku string
			var onHand int64
			return eachRow(rows, []any{&sku, &onHand}, func() { stock.begin(sku, onHand) })
		})
	}
	switch locks {
	case locksFirst:
		lock(lockProductsSQL)
	case locksFree:
		lock(lockProductsSQL + " skip locked")
	}
	batch.Queue(sumLinesSQL, ids).Query(func(rows pgx.Rows) error {
		var id, quantity int64
		var sku, amount string
		var kind LineKind
		var onHand *int64
		var wrong error
		err := eachRow(rows, []any{&id, &sku, &kind, &onHand, &quantity, &amount}, func() {
			if onHand != nil && locks == locksLast {
				stock.begin(sku, *onHand)
			}
			if c := orders[id]; c != nil {
				wrong = cmp.Or(wrong, c.add(sku, kind, quantity, amount, stock))
			}
		})
		return cmp.Or(err, wrong)
	})
	return stock
}

// findLocked adds the orders that others have locked to those that were locked here.
func findLocked(ctx context.Context, tx pgx.Tx, ids []int64, orders map[int64]*candidate) error {
	var missing []int64
	for _, id := range ids {
		if orders[id] == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, lockedOrdersSQL, missing)
	if err != nil {
		return err
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, id := range locked {
		orders[id] = &candidate{id: id, err: fmt.Errorf("%w: order %d is locked by another transaction", ErrBusy, id)}
	}
	return err
}

// busy recognises a lock that waitBrieflySQL has given up on.
func busy(err error) error {
	const lockNotAvailable = "55P03"
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && refusal.Code == lockNotAvailable {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

func eachRow(rows pgx.Rows, into []any, use func()) error {
	_, err := pgx.ForEachRow(rows, into, func() error { use(); return nil })
	return err
}

// add notes the sum of the order's lines of one kind for one product. A product that is not locked here
// is held by others, or was not tracked a moment ago.
func (c *candidate) add(sku string, kind LineKind, quantity int64, amount string, stock *stock) error {
	c.hasLines = true
	if kind == LineItem || kind == LineAdjustment {
		value, err := decimal.NewFromString(amount)
		if err != nil {
			return fmt.Errorf("read the amount of order %d: %w", c.id, err)
		}
		c.amount = c.amount.Add(value)
	}
	if sku == "" || kind == LineAdjustment {
		return nil
	}
	if _, locked := stock.onHand[sku]; !locked {
		if c.err == nil && !c.was.Final() {
			c.err = fmt.Errorf("%w: sku %q of order %d is locked by another transaction", ErrBusy, sku, c.id)
		}
		return nil
	}
	reason := "sale"
	switch {
	case kind == LineWriteOff:
		reason = "write_off"
	case c.kind == KindCredit:
		reason = "credit"
	}
	if n := len(c.shares); n > 0 && c.shares[n-1].sku == sku && c.shares[n-1].reason == reason {
		c.shares[n-1].quantity -= quantity // item and gift of one product
	} else {
		c.shares = append(c.shares, share{sku: sku, reason: reason, quantity: -quantity})
	}
	if n := len(c.nets); n > 0 && c.nets[n-1].sku == sku {
		c.nets[n-1].quantity -= quantity
	} else {
		c.nets = append(c.nets, share{sku: sku, quantity: -quantity})
	}
	return nil
}

// forget drops what was read of the order's lines, so that they can be read again.
func (c *candidate) forget() {
	c.hasLines, c.amount, c.shares, c.nets = false, decimal.Decimal{}, nil, nil
	c.status, c.short = c.was, nil
}
