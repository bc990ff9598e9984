// Package verify recomputes from the tables every rule that Backoffice promises to keep, and names the
// rows that break one. Each check is a statement of SQL over whole tables, but for what
// SQL does not know, such as when a cron line is due; the files are by area. Who
// adds a table with rules of its own adds its checks here.
//
// What it cannot tell is whether a product was tracked when an order was processed: an order that took
// none of it passes, whether it had to or not. Stock that changed without a movement, or a movement
// without the stock, is found in any case.
package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MostShown is how many offenders of a check a Result holds; it counts them all.
const MostShown = 20

// Check is one rule that holds in every snapshot of the tables, whatever runs and whatever was killed.
type Check struct {
	Name string // stable, snake_case
	What string // the rule in one sentence
	Of   string // the noun for what is looked at, in the singular

	// SQL answers one row for each thing looked at: its key, and what is wrong with it, null where it
	// is sound. The key and the text after it read as one sentence.
	SQL string

	// Find looks in place of SQL, where the rule is one that SQL does not know: it answers how many things
	// it looked at, and the offenders by key.
	Find func(context.Context, pgx.Tx) (lookedAt int64, offenders []Offender, err error)
}

// Offender is a thing that breaks a rule.
type Offender struct {
	Key   string `json:"key"`
	Wrong string `json:"wrong"`
}

// Result is what one check found.
type Result struct {
	Check     Check
	LookedAt  int64
	Offenders int64
	Shown     []Offender // the first by key, at most MostShown
	Took      time.Duration
}

// Checks lists every check, in the order in which they run.
func Checks() []Check {
	return slices.Concat(orderChecks, stockChecks, ledgerChecks, scheduleChecks, jobChecks, reportChecks, cleanupChecks)
}

// Run makes every check on one snapshot and answers a result for each, in the order of Checks; report,
// which may be nil, gets each as soon as it is there. Offenders are no error. An error ends the run: the
// results so far come with it.
//
// The snapshot is held for as long as the run takes, seconds per million orders, and keeps vacuum from
// what was deleted since. The statements read whole tables. So this is for after an incident, a restore
// or a test, and not for a dashboard.
func Run(ctx context.Context, pool *pgxpool.Pool, report func(Result)) ([]Result, error) {
	var results []Result
	oneSnapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, pool, oneSnapshot, func(tx pgx.Tx) (err error) {
		results, err = run(ctx, tx, report)
		return err
	})
	if err != nil {
		return results, fmt.Errorf("verify: %w", err)
	}
	return results, nil
}

// run makes every check in a transaction.
func run(ctx context.Context, tx pgx.Tx, report func(Result)) ([]Result, error) {
	if _, err := tx.Exec(ctx, settingsSQL); err != nil {
		return nil, fmt.Errorf("set up the session: %w", err)
	}
	checks := Checks()
	results := make([]Result, 0, len(checks))
	for _, check := range checks {
		result, err := check.run(ctx, tx)
		if err != nil {
			return results, fmt.Errorf("check %s: %w", check.Name, err)
		}
		results = append(results, result)
		if report != nil {
			report(result)
		}
	}
	return results, nil
}

// A check walks whole tables: a nested loop is never its best plan and, chosen on stale statistics, one
// that does not end. Compiling statements takes as long as it saves. The memory is that of one sort or
// hash, of which a check holds a handful.
const settingsSQL = `
select /* verify.Run */
       set_config('enable_nestloop', 'off', true),
       set_config('jit', 'off', true),
       set_config('work_mem', '64MB', true)`

// Offenders are rare, so they are counted in one pass that keeps none of them, and only then looked for.
const (
	countSQL = `
select /* verify.Run */ count(*), count(wrong)
  from (%s) as looked_at`
	showSQL = `
select /* verify.Run */ key::text, wrong
  from (%s) as looked_at
 where wrong is not null
 order by looked_at.key, wrong
 limit $1`
)

// run makes one check.
func (c Check) run(ctx context.Context, tx pgx.Tx) (Result, error) {
	started := time.Now()
	result := Result{Check: c}
	if c.Find != nil {
		lookedAt, offenders, err := c.Find(ctx, tx)
		result.LookedAt, result.Offenders = lookedAt, int64(len(offenders))
		result.Shown = offenders[:min(len(offenders), MostShown)]
		result.Took = time.Since(started)
		return result, err
	}
	if err := tx.QueryRow(ctx, fmt.Sprintf(countSQL, c.SQL)).Scan(&result.LookedAt, &result.Offenders); err != nil {
		return Result{}, err
	}
	if result.Offenders > 0 {
		rows, err := tx.Query(ctx, fmt.Sprintf(showSQL, c.SQL), MostShown)
		if err != nil {
			return Result{}, err
		}
		if result.Shown, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Offender]); err != nil {
			return Result{}, err
		}
	}
	result.Took = time.Since(started)
	return result, nil
}
