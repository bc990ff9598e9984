package bench

import (
	"context"
	"fmt"
	"time"
)

var ordersScenario = Scenario{
	Name:    "orders",
	Summary: "process generated orders of 4 lines, next to plain SQL and to River without the fence",
	Prepare: prepareOrders,
}

// What the contestants are called; the variant follows.
const (
	productName = "backoffice"
	plainName   = "plain SQL"
	riverName   = "River's completion"

	untracked = ", untracked"
	tracked   = ", tracked"
	failing   = ", 1% failing"
	refused   = ", 1% refused by a trigger"
)

const ordersPerSecond = "orders/s"

func prepareOrders(ctx context.Context, lab *Lab) (*Plan, error) {
	plain, err := lab.generated(ctx)
	if err != nil {
		return nil, err
	}
	stocked, err := lab.generatedTracked(ctx)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Contestants: append(lab.contest(untracked, plain), lab.contest(tracked, stocked)...),
		Ratios: []Ratio{
			{What: "one pipelined transaction per order", Of: productName + untracked, Against: plainName + untracked, Figure: ordersPerSecond, AtLeast: 2.5, Aim: 3.5},
			{What: "the same, stock tracked", Of: productName + tracked, Against: plainName + tracked, Figure: ordersPerSecond, AtLeast: 3.5, Aim: 5},
			{What: "unfenced, River's completion", Of: productName + untracked, Against: riverName + untracked, Figure: ordersPerSecond, AtLeast: 2.5, Aim: 4},
			{What: "the same, stock tracked", Of: productName + tracked, Against: riverName + tracked, Figure: ordersPerSecond},
			{What: "what tracking leaves", Of: productName + tracked, Against: productName + untracked, Figure: ordersPerSecond},
		},
	}
	return lab.withFailures(ctx, plan)
}

// generated is the template of generated orders whose products are not tracked.
func (l *Lab) generated(ctx context.Context) (Template, error) {
	return l.Template(ctx, "orders", func(ctx context.Context, db *Database) error {
		return fillOrders(ctx, db, l.orders())
	})
}

func (l *Lab) generatedTracked(ctx context.Context) (Template, error) {
	return l.Template(ctx, "orders tracked", func(ctx context.Context, db *Database) error {
		if err := fillOrders(ctx, db, l.orders()); err != nil {
			return err
		}
		return trackAll(ctx, db)
	})
}

// orders is how many a run works on.
func (l *Lab) orders() int { return l.Settings.Few(l.Settings.Orders, 400) }

// contest pits the product against its floors on one template.
func (l *Lab) contest(variant string, template Template) []Contestant {
	books := &audit{}
	return []Contestant{
		{
			Name: productName + variant, Template: template, Run: l.runProcesses(1, books),
			Detail: "backoffice worker --queue orders=1000 --log-level warn, else as it comes: fence, effects and completion in shared commits",
		},
		{
			Name: plainName + variant, Template: template, Run: l.runFloor(books),
			Detail: fmt.Sprintf("pgx, one pipelined transaction per order, best of %v connections", l.Settings.Connections),
		},
		{
			Name: riverName + variant, Template: template, Run: l.runStockRiver(books),
			Detail: fmt.Sprintf("River's own driver and completion, %d workers on %d connections, a transaction of plain SQL per order", stockWorkers, stockConnections),
		},
	}
}

// The rate is that of the jobs, from the first that was fetched to the last that was committed; the wall
// clock beside it counts the start and the end of the process too.
const jobRateSQL = `
select /* bench.jobRate */ count(*), coalesce(extract(epoch from max(finalized_at) - min(attempted_at)), 0)::float8
  from river_job
 where kind = 'process_order'
   and state = 'completed'`

// jobRate answers the completed orders per second by what the jobs say.
func jobRate(ctx context.Context, db *Database) (float64, error) {
	var completed, seconds float64
	if err := db.Pool.QueryRow(ctx, jobRateSQL).Scan(&completed, &seconds); err != nil {
		return 0, fmt.Errorf("read the rate: %w", err)
	}
	if completed == 0 || seconds <= 0 {
		return 0, fmt.Errorf("read the rate: %.0f jobs completed in %.3f s", completed, seconds)
	}
	return completed / seconds, nil
}

// runProcesses runs worker processes until every order is processed.
func (l *Lab) runProcesses(processes int, books *audit) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		wall, err := l.work(ctx, db, processes, untilEmpty)
		if err != nil {
			return nil, err
		}
		return jobFigures(ctx, db, wall, books)
	}
}

// jobFigures are the figures of contestants whose jobs were worked, and so say when.
func jobFigures(ctx context.Context, db *Database, wall time.Duration, books *audit) (Figures, error) {
	rate, err := jobRate(ctx, db)
	if err != nil {
		return nil, err
	}
	return Figures{ordersPerSecond: rate, "wall s": wall.Seconds()}, books.check(ctx, db)
}

// runFloor tries the connection counts in turn, each on its share of the orders, and reports the best.
func (l *Lab) runFloor(books *audit) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		orders, err := listPlain(ctx, db)
		if err != nil {
			return nil, err
		}
		best := Figures{"deadlocks": 0}
		counts := l.Settings.Connections
		for i, connections := range counts {
			share := orders[len(orders)*i/len(counts) : len(orders)*(i+1)/len(counts)]
			ran, err := runPlain(ctx, db.URL, share, connections)
			if err != nil {
				return nil, err
			}
			best["deadlocks"] += float64(ran.Deadlocks)
			if rate := float64(len(share)) / ran.Took.Seconds(); rate > best[ordersPerSecond] {
				best[ordersPerSecond], best["connections"] = rate, float64(connections)
			}
		}
		return best, books.check(ctx, db)
	}
}
