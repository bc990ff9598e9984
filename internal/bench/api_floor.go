package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
)

// The rows of a placed order as a good engineer writes them by hand, for a program that knows that what
// it was given can be stored: the same tables, constraints and indexes, and the job as River stores it.
const (
	plainCustomerSQL = `
insert /* bench.place */ into customers (number)
select $1::text
 where not exists (select from customers where number = $1)
    on conflict (number) do nothing`
	plainOrderSQL = `
insert /* bench.place */ into orders (number, kind, customer_id, country, currency, placed_at, enqueued)
select $1, $2, (select id from customers where number = $3), $4, $5, $6, true`
	plainLinesSQL = `
insert /* bench.place */ into order_lines (order_id, line_no, line_kind, sku, description, quantity, unit_price)
select currval('orders_id_seq'), line_no, 'item', sku, description, quantity, unit_price::numeric
  from unnest($1::text[], $2::text[], $3::integer[], $4::text[])
       with ordinality as l(sku, description, quantity, unit_price, line_no)`
	plainJobSQL = `
insert /* bench.place */ into river_job (args, kind, max_attempts, priority, queue, state, unique_key, unique_states)
select jsonb_build_object('order_id', o.id), 'process_order', 10, 1, 'orders', 'available',
       convert_to('process_order ', 'UTF8') || int8send(o.id), '11110101'
  from (select currval('orders_id_seq') as id) o`

	plainLockKeySQL = `
select /* bench.place */ pg_try_advisory_xact_lock(hashtextextended($1, 0))`
	plainFindKeySQL = `
select /* bench.place */ body_sha256, status, location, body
  from idempotency_keys
 where api_key_id = $1
   and route = $2
   and key = $3`
	plainKeepKeySQL = `
insert /* bench.place */ into idempotency_keys (api_key_id, route, key, body_sha256, status, location, body)
values ($1, $2, $3, $4, 202, '/api/orders/' || currval('orders_id_seq'), $5)`
)

// plainPlacing is what a plain program sends to place one order, encoded beforehand.
type plainPlacing struct {
	customer, number, kind, country, currency string
	placedAt                                  time.Time
	skus, descriptions, prices                []string
	quantities                                []int32
}

func newPlainPlacing(d order.Draft) plainPlacing {
	p := plainPlacing{customer: d.Customer, number: d.Number, kind: string(d.Kind), country: d.Country, currency: "GBP", placedAt: d.PlacedAt}
	for _, l := range d.Lines {
		p.skus, p.descriptions = append(p.skus, l.SKU), append(p.descriptions, l.Description)
		p.quantities, p.prices = append(p.quantities, int32(l.Quantity)), append(p.prices, l.UnitPrice.String())
	}
	return p
}

// queue adds what stores the order to a batch, which is one round trip and one transaction.
func (p plainPlacing) queue(batch *pgx.Batch) {
	batch.Queue(plainCustomerSQL, p.customer)
	batch.Queue(plainOrderSQL, p.number, p.kind, p.customer, p.country, p.currency, p.placedAt)
	batch.Queue(plainLinesSQL, p.skus, p.descriptions, p.quantities, p.prices)
	batch.Queue(plainJobSQL)
}

// queueKeyed does the same under an idempotency key that was never used before. The answer kept is the
// request, which is about as long.
func (p plainPlacing) queueKeyed(batch *pgx.Batch, d delivery) {
	const route, caller = "POST /api/orders", 1
	digest := sha256.Sum256(d.body)
	batch.Queue(plainLockKeySQL, d.key)
	batch.Queue(plainFindKeySQL, caller, route, d.key)
	p.queue(batch)
	batch.Queue(plainKeepKeySQL, caller, route, d.key, digest[:], d.body)
}

// runPlainPlacing places the orders by hand, one transaction each, over connections of its own.
func runPlainPlacing(orders []delivery, keyed bool, connections int) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		conns, closeAll, err := openAll(ctx, db, connections)
		if err != nil {
			return nil, err
		}
		defer closeAll()
		place := func(connection, n int) error {
			batch := &pgx.Batch{}
			if d := orders[n]; keyed {
				d.plain.queueKeyed(batch, d)
			} else {
				d.plain.queue(batch)
			}
			if err := conns[connection].SendBatch(ctx, batch).Close(); err != nil {
				return fmt.Errorf("place order %s by hand: %w", orders[n].plain.number, err)
			}
			return nil
		}
		if _, _, err := deal(0, apiWarmUp, len(conns), place); err != nil {
			return nil, err
		}
		each, wall, err := deal(apiWarmUp, len(orders), len(conns), place)
		if err != nil {
			return nil, err
		}
		answers := 0
		if keyed {
			answers = len(orders)
		}
		return placingFigures(len(each), each, wall), checkPlaced(ctx, db, len(orders), answers)
	}
}

// openAll opens so many connections to a run's database.
func openAll(ctx context.Context, db *Database, count int) (conns []*pgxpool.Conn, closeAll func(), err error) {
	pool, err := postgres.Connect(ctx, db.URL, postgres.Options{ApplicationName: "bench plain", MaxConns: int32(count)})
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() {
		for _, conn := range conns {
			conn.Release()
		}
		pool.Close()
	}
	for len(conns) < count {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("open connection %d of %d: %w", len(conns)+1, count, err)
		}
		conns = append(conns, conn)
	}
	return conns, closeAll, nil
}
