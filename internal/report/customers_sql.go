package report

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const lastCustomerSQL = `
select /* report.customers */ coalesce(max(customer_id), 0)
  from orders
 where customer_id is not null`

const customersChunkSQL = `
select /* report.customers */ customer_id, id
  from (select customer_id, id
          from orders
         where customer_id is not null
           and (customer_id, id) > ($1, $2)
         order by customer_id, id
         limit $3) as chunk
 order by customer_id desc, id desc
 limit 1`

// The plain conditions on customer_id tell the planner how few orders lie between the two keys. Lines and
// transitions are looked up order by order: those of one customer lie far apart.
const sumBuyersSQL = `
with /* report.customers */ chunk as materialized (
  select id, customer_id, kind, currency, placed_at
    from orders
   where customer_id >= $1
     and customer_id <= $3
     and (customer_id, id) > ($1, $2)
     and (customer_id, id) <= ($3, $4)
)
select c.customer_id, c.currency, count(*) filter (where c.kind = 'sale'), max(c.placed_at) filter (where c.kind = 'sale'),
       coalesce(sum(posted.amount), 0)::bigint
  from chunk c
  left join lateral (select sum(l.quantity * (l.unit_price * 10000)::bigint)::bigint as amount
                       from order_lines l
                      where l.order_id = c.id
                        and l.line_kind in ('item', 'adjustment')) as posted on true
 where c.placed_at >= $5
   and c.placed_at < $6
   and ($7 = '' or c.currency = $7)
   and (select t.id
          from order_transitions t
         where t.order_id = c.id
           and t.to_status = 'processed'
           and t.id <= $8
         limit 1) is not null
 group by c.customer_id, c.currency
 order by c.customer_id, c.currency`

// orderKey is a place in the index of customers' orders.
type orderKey struct {
	Customer, ID int64
}

// readBuyers adds up the orders of every customer, chunk by chunk. It is the first half of the work.
func readBuyers(ctx context.Context, src *Source, p *CustomersParams) (*buyers, error) {
	_, _, zone := p.Days()
	_, last := p.ends()
	since, until := p.instants()
	found := &buyers{until: last, zone: zone}
	highest, err := readRow(ctx, src.DB, pgx.RowTo[int64], lastCustomerSQL)
	if err != nil {
		return nil, err
	}
	for after := (orderKey{math.MinInt64, math.MinInt64}); ; {
		ends, err := readRows(ctx, src.DB, pgx.RowToStructByPos[orderKey], customersChunkSQL, after.Customer, after.ID, chunkOrders)
		if err != nil || len(ends) == 0 {
			return found, err
		}
		through := ends[0]
		sums, err := readRows(ctx, src.DB, pgx.RowToStructByPos[bought], sumBuyersSQL,
			after.Customer, after.ID, through.Customer, through.ID, since, until, p.Currency, src.Watermark)
		if err != nil {
			return nil, err
		}
		for _, sum := range sums {
			found.add(sum)
		}
		after = through
		src.Progress(min(1, float64(after.Customer)/float64(max(1, highest)))/2, 0)
	}
}

const nameCustomersSQL = `
select /* report.customers */ id, coalesce(number, ''), coalesce(name, '')
  from customers
 where id = any($1)`

// customerNames are how the shop calls a customer.
type customerNames struct {
	ID           int64
	Number, Name string
}

// nameBuyers looks up what some customers are called, by their id.
func nameBuyers(ctx context.Context, db *pgxpool.Pool, some []buyer) (map[int64]customerNames, error) {
	ids := make([]int64, len(some))
	for i, b := range some {
		ids[i] = b.customer
	}
	named, err := readRows(ctx, db, pgx.RowToStructByPos[customerNames], nameCustomersSQL, ids)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]customerNames, len(named))
	for _, n := range named {
		names[n.ID] = n
	}
	return names, nil
}
