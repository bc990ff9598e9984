package order

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Standing is how the orders stand, at a cost that does not grow with the table.
type Standing struct {
	ByStatus map[Status]int // among the newest CountNewest orders; awaiting_stock among all, up to CountNewest
	More     bool           // there are older orders, whose status was not looked at
}

const standingSQL = `
select /* order.Stand */ status, count(*)
  from (select status from orders order by id desc limit $1) newest
 group by status
 union all
select '', count(*)
  from (select from orders order by id desc limit $1 + 1) newest`

// A wait is as old as it likes, and the rows of order_waits live exactly as long.
const standingWaitsSQL = `
select /* order.Stand */ count(*)
  from (select distinct order_id from order_waits order by order_id desc limit $1) waiting`

// Stand counts the orders by status.
func Stand(ctx context.Context, db postgres.DB) (Standing, error) {
	s := Standing{ByStatus: map[Status]int{}}
	waiting := 0
	batch := &pgx.Batch{}
	batch.Queue(standingSQL, CountNewest).Query(func(rows pgx.Rows) error {
		var (
			status Status
			n      int
		)
		_, err := pgx.ForEachRow(rows, []any{&status, &n}, func() error {
			if status == "" {
				s.More = n > CountNewest
				return nil
			}
			s.ByStatus[status] = n
			return nil
		})
		return err
	})
	batch.Queue(standingWaitsSQL, CountNewest+1).QueryRow(func(row pgx.Row) error { return row.Scan(&waiting) })
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return Standing{}, fmt.Errorf("count orders: %w", err)
	}
	s.ByStatus[StatusAwaitingStock] = max(waiting, s.ByStatus[StatusAwaitingStock])
	return s, nil
}

// Joins might tempt the planner into reading orders or customers from end to end.
const recentColumns = ` o.id, o.number, o.kind, o.status, coalesce((select number from customers c where c.id = o.customer_id), ''),
       coalesce(o.country, ''), o.currency, o.placed_at, o.enqueued, coalesce(o.reason, '')`

const recentSQL = `
select /* order.Recent */` + recentColumns + `
  from (select id, number, kind, status, customer_id, country, currency, placed_at, enqueued, reason
          from orders
         where id < $2
         order by id desc
         limit $3) o
 where $1 = ''
    or o.status = $1
 order by o.id desc
 limit $4`

const recentWaitingSQL = `
select /* order.Recent */` + recentColumns + `
  from (select distinct order_id
          from order_waits
         where order_id < $1
         order by order_id desc
         limit $2) waiting
 cross join lateral (
       select id, number, kind, status, customer_id, country, currency, placed_at, enqueued, reason
         from orders
        where id = waiting.order_id
       offset 0) o
 order by o.id desc`

const lookedAtSQL = `
select /* order.Recent */ coalesce(min(id), 0), count(*)
  from (select id from orders where id < $1 order by id desc limit $2) looked_at`

// Recent answers at most limit orders of a status ("" means any) without their lines, newest first, among
// the CountNewest orders before the id (0: before none, from the newest). next is the id to go on before,
// 0 when that was all: a page of a rare status may hold few orders, or none, and still have a next.
// Unlike List, it never reads on until a page is full.
func Recent(ctx context.Context, db postgres.DB, status Status, before int64, limit int) (found []Order, next int64, err error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	var oldest, looked int64
	read := func(rows pgx.Rows) error {
		found, err = pgx.CollectRows(rows, rowToOrder)
		return err
	}
	batch := &pgx.Batch{}
	if status == StatusAwaitingStock {
		batch.Queue(recentWaitingSQL, before, limit).Query(read)
	} else {
		batch.Queue(recentSQL, string(status), before, CountNewest, limit).Query(read)
		batch.Queue(lookedAtSQL, before, CountNewest).QueryRow(func(row pgx.Row) error { return row.Scan(&oldest, &looked) })
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("list recent orders: %w", err)
	}
	switch {
	case len(found) == limit:
		next = found[limit-1].ID
	case looked == CountNewest:
		next = oldest
	}
	return found, next, nil
}
