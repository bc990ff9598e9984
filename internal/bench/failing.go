package bench

import (
	"context"
	"fmt"
	"time"
)

// guiltyShare: every hundredth order fails.
const guiltyShare = 100

// An effect that is recorded though its order is still placed: only poison data looks like this, and
// processing must refuse the order and no other.
const poisonSQL = `
insert /* bench.poison */ into order_effects (order_id, effect, applied_at)
select id, 'ledger', now()
  from orders
 where id % $1 = 0`

// A rule of the user's own that the product cannot know: it sees it only as the failure of whatever
// statement touches the order, and has to find the guilty one among its neighbours.
const refuseSQL = `
create function bench_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'order % is refused by a rule of the shop', old.id;
end $$;
create trigger bench_refuse before update of status on orders
  for each row when (old.id % 100 = 0) execute function bench_refuse()`

// withFailures adds the contestants some of whose orders fail, and keep failing.
func (l *Lab) withFailures(ctx context.Context, plan *Plan) (*Plan, error) {
	poisoned, err := l.Template(ctx, "orders failing", func(ctx context.Context, db *Database) error {
		if err := fillOrders(ctx, db, l.orders()); err != nil {
			return err
		}
		_, err := db.Pool.Exec(ctx, poisonSQL, guiltyShare)
		return err
	})
	if err != nil {
		return nil, err
	}
	forbidden, err := l.Template(ctx, "orders refused", func(ctx context.Context, db *Database) error {
		if err := fillOrders(ctx, db, l.orders()); err != nil {
			return err
		}
		_, err := db.Pool.Exec(ctx, refuseSQL)
		return err
	})
	if err != nil {
		return nil, err
	}
	plan.Contestants = append(plan.Contestants,
		Contestant{Name: productName + failing, Template: poisoned, Run: l.runFailing,
			Detail: "every hundredth order has an effect before it is processed, and fails; rate of the others"},
		Contestant{Name: productName + refused, Template: forbidden, Run: l.runFailing,
			Detail: "a trigger of the user's refuses every hundredth order when it is written; rate of the others"})
	plan.Ratios = append(plan.Ratios,
		Ratio{What: "1% failing", Of: productName + failing, Against: productName + untracked, Figure: ordersPerSecond, AtLeast: 0.8, Aim: 0.95},
		Ratio{What: "1% refused by a trigger", Of: productName + refused, Against: productName + untracked, Figure: ordersPerSecond})
	return plan, nil
}

// runFailing works what is due; the failed jobs stay, to be tried again.
func (l *Lab) runFailing(ctx context.Context, db *Database) (Figures, error) {
	wall, err := l.work(ctx, db, 1, once)
	if err != nil {
		return nil, err
	}
	rate, err := jobRate(ctx, db)
	if err != nil {
		return nil, err
	}
	return failureFigures(ctx, db, rate, wall)
}

// Its own error names the order, so it was found to be the guilty one and not a neighbour of it.
const failuresSQL = `
select /* bench.failures */
       count(*) filter (where guilty),
       count(*) filter (where guilty and status = 'placed' and job_state not in ('completed', 'cancelled')
                          and errors >= 1 and last_error ~ ('\morder ' || id || '\M')),
       count(*) filter (where not guilty),
       count(*) filter (where not guilty and status = 'processed' and job_state = 'completed'),
       coalesce(sum(errors), 0),
       coalesce(sum(errors) filter (where not guilty), 0)
  from (select o.id, o.status, o.id % $1 = 0 as guilty, j.state as job_state,
               coalesce(array_length(j.errors, 1), 0) as errors,
               j.errors[array_upper(j.errors, 1)] ->> 'error' as last_error
          from orders o
          join river_job j on j.kind = 'process_order' and (j.args ->> 'order_id')::bigint = o.id) as judged`

// failureFigures checks that exactly the guilty failed, each with its own error, and the rest is sound.
func failureFigures(ctx context.Context, db *Database, rate float64, wall time.Duration) (Figures, error) {
	var guilty, failed, good, processed, attempts, innocent int64
	err := db.Pool.QueryRow(ctx, failuresSQL, guiltyShare).Scan(&guilty, &failed, &good, &processed, &attempts, &innocent)
	if err != nil {
		return nil, fmt.Errorf("read what failed: %w", err)
	}
	switch {
	case failed != guilty:
		return nil, fmt.Errorf("of %d orders that must fail, %d did with an error of their own", guilty, failed)
	case processed != good:
		return nil, fmt.Errorf("of %d orders beside those that must fail, %d are processed", good, processed)
	case innocent > 0:
		return nil, fmt.Errorf("orders that are sound failed %d times", innocent)
	}
	if _, err := db.Pool.Exec(ctx, removePoisonSQL, guiltyShare); err != nil {
		return nil, fmt.Errorf("remove the poison: %w", err)
	}
	return Figures{ordersPerSecond: rate, "wall s": wall.Seconds(), "failed attempts": float64(attempts)}, checkSound(ctx, db)
}

// What was wrong from the start would offend the checks; what is left when it is gone must be sound.
const removePoisonSQL = `
delete /* bench.removePoison */ from order_effects
 where order_id % $1 = 0
   and effect = 'ledger'
   and job_id is null`
