package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/postgres"
)

// plainOrder is what a plain program is dealt from memory about an order and its job.
type plainOrder struct {
	ID     int64
	Reason string // of its movements, but for write-offs
	JobID  int64
}

const listPlainSQL = `
select /* bench.listPlain */ o.id, case o.kind when 'credit' then 'credit' else 'sale' end, j.id
  from orders o
  join river_job j on j.kind = 'process_order' and (j.args ->> 'order_id')::bigint = o.id
 where o.status = 'placed'
 order by o.id`

func listPlain(ctx context.Context, db *Database) ([]plainOrder, error) {
	rows, err := db.Pool.Query(ctx, listPlainSQL)
	if err != nil {
		return nil, fmt.Errorf("list placed orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByPos[plainOrder])
	if err != nil {
		return nil, fmt.Errorf("list placed orders: %w", err)
	}
	return orders, nil
}

// The effects of one order as a good engineer writes them by hand, for a program that knows that stock
// suffices and that nobody else processes the order; should somebody, the key of order_effects refuses
// it. Products are locked by sku before any is written: without that, orders of 20 lines that want the
// same popular products spend their time in deadlocks.
const (
	plainStockSQL = `
with /* bench.plain */ locked as materialized (
  select sku
    from products
   where on_hand is not null
     and sku = any(array(select sku
                           from order_lines
                          where order_id = $1
                            and line_kind <> 'adjustment'))
   order by sku
     for update
), moved as (
  insert into stock_movements (sku, quantity, reason, order_id, at)
  select l.sku,
         -sum(case when l.line_kind = 'write_off' then abs(l.quantity) else l.quantity end),
         case when l.line_kind = 'write_off' then 'write_off' else $2 end,
         $1, now()
    from locked
    join order_lines l using (sku)
   where l.order_id = $1
     and l.line_kind <> 'adjustment'
   group by 1, 3
  having sum(case when l.line_kind = 'write_off' then abs(l.quantity) else l.quantity end) <> 0
  returning sku, quantity
)
update products p
   set on_hand = p.on_hand + taken.quantity
  from (select sku, sum(quantity) as quantity
          from moved
         group by sku) taken
 where p.sku = taken.sku`
	plainLedgerSQL = `
insert /* bench.plain */ into ledger_entries (order_id, account, amount, at)
select $1, e.account, e.sign * total.amount, now()
  from (select sum(quantity * unit_price) as amount
          from order_lines
         where order_id = $1
           and line_kind in ('item', 'adjustment')) total
 cross join (values (1, 'receivable'), (-1, 'revenue')) as e(sign, account)
 where total.amount <> 0`
	plainStatusSQL = `
with /* bench.plain */ effects as (
  insert into order_effects (order_id, effect, job_id, applied_at)
  values ($1, 'stock', $2, now()), ($1, 'ledger', $2, now())
), transition as (
  insert into order_transitions (order_id, from_status, to_status, at, job_id)
  values ($1, 'placed', 'processed', now(), $2)
)
update orders
   set status = 'processed'
 where id = $1
   and status = 'placed'`
	plainCompleteSQL = `
update /* bench.plain */ river_job
   set state = 'completed',
       finalized_at = now()
 where id = $1`
)

// queueEffects adds what an order causes to a batch. A batch is one round trip, and one transaction
// without a begin and a commit of its own.
func (o plainOrder) queueEffects(batch *pgx.Batch) {
	batch.Queue(plainStockSQL, o.ID, o.Reason)
	batch.Queue(plainLedgerSQL, o.ID)
	batch.Queue(plainStatusSQL, o.ID, o.JobID)
}

func (o plainOrder) queueComplete(batch *pgx.Batch) { batch.Queue(plainCompleteSQL, o.JobID) }

// plainTries bounds how often an order whose transaction Postgres gave up in a deadlock begins again.
const plainTries = 10

// plainRun is what came of processing orders by plain SQL.
type plainRun struct {
	Took      time.Duration
	Deadlocks int64
}

// runPlain processes orders by plain SQL, one transaction per order, dealt to connections that are open
// before the clock starts.
func runPlain(ctx context.Context, url string, orders []plainOrder, connections int) (plainRun, error) {
	pool, err := postgres.Connect(ctx, url, postgres.Options{ApplicationName: "bench plain", MaxConns: int32(connections)})
	if err != nil {
		return plainRun{}, err
	}
	defer pool.Close()
	conns := pool.AcquireAllIdle(ctx)
	for len(conns) < connections {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return plainRun{}, fmt.Errorf("open connection %d of %d: %w", len(conns)+1, connections, err)
		}
		conns = append(conns, conn)
	}
	defer func() {
		for _, conn := range conns {
			conn.Release()
		}
	}()
	var dealt, deadlocks atomic.Int64
	errs := make([]error, connections)
	var working sync.WaitGroup
	started := time.Now()
	for i, conn := range conns {
		working.Go(func() {
			for n := dealt.Add(1); n <= int64(len(orders)) && errs[i] == nil; n = dealt.Add(1) {
				errs[i] = orders[n-1].process(ctx, conn, &deadlocks)
			}
		})
	}
	working.Wait()
	return plainRun{Took: time.Since(started), Deadlocks: deadlocks.Load()}, errors.Join(errs...)
}

func (o plainOrder) process(ctx context.Context, db postgres.DB, deadlocks *atomic.Int64) error {
	for try := 1; ; try++ {
		batch := &pgx.Batch{}
		o.queueEffects(batch)
		o.queueComplete(batch)
		err := db.SendBatch(ctx, batch).Close()
		var refusal *pgconn.PgError
		const deadlock = "40P01"
		if errors.As(err, &refusal) && refusal.Code == deadlock && try < plainTries {
			deadlocks.Add(1)
			continue
		}
		if err != nil {
			return fmt.Errorf("process order %d by plain SQL: %w", o.ID, err)
		}
		return nil
	}
}
