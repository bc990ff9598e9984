package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

var apiScenario = Scenario{
	Name:    "api",
	Summary: "orders of 4 lines placed over HTTP under an idempotency key each, next to the same rows by pgx",
	Prepare: prepareAPI,
}

const (
	apiWarmUp  = 640 // orders that come first and are not counted: connections are opened, statements prepared
	apiBatch   = 100 // orders of one request of the batch route
	apiReplays = 32  // requests sent once more in the end, which must place nothing
)

func prepareAPI(ctx context.Context, lab *Lab) (*Plan, error) {
	template, err := lab.Template(ctx, "history", lab.fillHistory)
	if err != nil {
		return nil, err
	}
	orders, connections := newDeliveries(apiWarmUp+lab.orders()), lab.Settings.MostConnections()
	const (
		single, batch = "POST /api/orders", "POST /api/orders/batch"
		plain, keyed  = "plain pgx", "plain pgx, with a key"
	)
	detail := fmt.Sprintf("%d keep-alive connections, an API key and an Idempotency-Key on every request, ", connections)
	return &Plan{
		Contestants: []Contestant{
			{Name: single, Template: template, Run: lab.runAPI(orders, 1, connections), Detail: "`backoffice api`, a process of its own; " + detail + "access log to a file"},
			{Name: batch, Template: template, Run: lab.runAPI(orders, apiBatch, connections), Detail: fmt.Sprintf("the same, %d orders in a request", apiBatch)},
			{Name: plain, Template: template, Run: runPlainPlacing(orders, false, connections),
				Detail: fmt.Sprintf("floor: customer, order, lines, job by hand, one round trip and one transaction per order, %d connections", connections)},
			{Name: keyed, Template: template, Run: runPlainPlacing(orders, true, connections), Detail: "the same with the key's lock, look-up and kept answer in that round trip"},
		},
		Ratios: []Ratio{
			{What: "one order per request", Of: single, Against: plain, Figure: ordersPerSecond, Aim: 0.6},
			{What: "the same, the floor keeps answers too", Of: single, Against: keyed, Figure: ordersPerSecond},
			{What: "orders in batches", Of: batch, Against: plain, Figure: ordersPerSecond},
		},
	}, nil
}

// deal hands out the numbers from first up to but not including end to connections, each of which takes
// the next when it is done with one, and answers how long each took and all together.
func deal(first, end, connections int, do func(connection, number int) error) (each durations, wall time.Duration, err error) {
	var (
		working sync.WaitGroup
		dealt   atomic.Int64
		once    sync.Once
		took    = make([]durations, connections)
	)
	dealt.Store(int64(first) - 1)
	began := time.Now()
	for connection := range connections {
		working.Go(func() {
			for n := dealt.Add(1); n < int64(end); n = dealt.Add(1) {
				sent := time.Now()
				if failed := do(connection, int(n)); failed != nil {
					once.Do(func() { err = failed })
					dealt.Store(int64(end)) // for the others, too
					return
				}
				took[connection] = append(took[connection], time.Since(sent))
			}
		})
	}
	working.Wait()
	wall = time.Since(began)
	for _, some := range took {
		each = append(each, some...)
	}
	return each, wall, err
}

// placingFigures are those of so many orders, and of each request that placed one or more of them.
func placingFigures(orders int, each durations, wall time.Duration) Figures {
	return Figures{
		ordersPerSecond: float64(orders) / wall.Seconds(),
		"p50 ms":        each.quantile(0.50), "p99 ms": each.quantile(0.99),
	}
}

// Orders that nobody has processed are those of the run: the ones of the template are.
const checkPlacedSQL = `
with /* bench.checkPlaced */ placed as (
  select id
    from orders
   where status = 'placed'
)
select (select count(*) from placed),
       (select count(*) from order_lines where order_id in (select id from placed)),
       (select count(*) from river_job where kind = 'process_order' and state = 'available' and unique_key is not null),
       (select count(distinct j.args ->> 'order_id')
          from river_job j
          join placed on placed.id = (j.args ->> 'order_id')::bigint
         where j.kind = 'process_order'
           and j.state = 'available'),
       (select count(*) from idempotency_keys)`

// checkPlaced wants n orders of four lines, each with one job, so many kept answers, and every invariant.
func checkPlaced(ctx context.Context, db *Database, n, answers int) error {
	if _, err := db.Pool.Exec(ctx, "analyze /* bench.checkPlaced */"); err != nil { // or plans are made for the rows of the template
		return fmt.Errorf("analyse what was placed: %w", err)
	}
	var orders, lines, jobs, ordersWithJob, kept int
	if err := db.Pool.QueryRow(ctx, checkPlacedSQL).Scan(&orders, &lines, &jobs, &ordersWithJob, &kept); err != nil {
		return fmt.Errorf("count what was placed: %w", err)
	}
	if orders != n || lines != n*linesPerOrder || jobs != n || ordersWithJob != n || kept != answers {
		return fmt.Errorf("%d orders of %d lines, %d jobs of %d orders and %d answers are there, and not %d orders and %d answers",
			orders, lines, jobs, ordersWithJob, kept, n, answers)
	}
	return checkSound(ctx, db)
}
