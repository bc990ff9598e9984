package report

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const sumBuyersSQL = `
with /* report.customers */ ` + placedSQL + `,
` + postedSQL + `,
totals as (
  select order_id, sum(amount)::bigint as amount
    from posted
   group by order_id
)
select p.customer_id, p.currency, count(*) filter (where p.kind = 'sale'), max(p.placed_at) filter (where p.kind = 'sale'),
       coalesce(sum(t.amount), 0)::bigint
  from placed p
  left join totals t on t.order_id = p.id
 where p.customer_id is not null
 group by p.customer_id, p.currency`

// readBuyers adds up the orders of the period by customer, chunk by chunk. It is the first half of the work.
func readBuyers(ctx context.Context, src *Source, p *CustomersParams) (*buyers, error) {
	_, _, zone := p.Days()
	_, last := p.ends()
	since, until := p.instants()
	found := &buyers{until: last, zone: zone}
	err := eachChunk(ctx, src.DB, since, until, func(after, through int64, done float64) error {
		sums, err := readRows(ctx, src.DB, pgx.RowToStructByPos[bought], sumBuyersSQL, after, through, since, until, p.Currency, src.Watermark)
		for _, sum := range sums {
			found.add(sum)
		}
		src.Progress(done/2, 0)
		return err
	})
	found.merge()
	return found, err
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
