package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/verify"
)

// checkSound answers an error unless every invariant of verify holds.
func checkSound(ctx context.Context, db *Database) error {
	results, err := verify.Run(ctx, db.Pool, nil)
	if err != nil {
		return err
	}
	var broken []error
	for _, r := range results {
		if r.Offenders > 0 {
			broken = append(broken, fmt.Errorf("check %s: %d of %d offend, such as %s %s", r.Check.Name, r.Offenders, r.LookedAt, r.Shown[0].Key, r.Shown[0].Wrong))
		}
	}
	return errors.Join(broken...)
}

// books are the counts and sums of every table that processing orders writes. Two ways to one result
// agree in all of them.
type books struct {
	Orders, Processed      int64
	Effects, Transitions   int64
	Movements, Moved       int64  // rows of orders, and the sum of their quantities
	OnHand                 int64  // of all tracked products
	Entries                int64  // rows of the ledger
	Receivable             string // their sum on that account
	Waits                  int64
	JobsCompleted, AllJobs int64
}

const readBooksSQL = `
select /* bench.readBooks */
       (select count(*) from orders),
       (select count(*) from orders where status = 'processed'),
       (select count(*) from order_effects),
       (select count(*) from order_transitions),
       (select count(*) from stock_movements where order_id is not null),
       (select coalesce(sum(quantity), 0) from stock_movements where order_id is not null),
       (select coalesce(sum(on_hand), 0) from products),
       (select count(*) from ledger_entries),
       (select coalesce(sum(amount), 0)::text from ledger_entries where account = 'receivable'),
       (select count(*) from order_waits),
       (select count(*) from river_job where kind = 'process_order' and state = 'completed'),
       (select count(*) from river_job where kind = 'process_order')`

func readBooks(ctx context.Context, db *Database) (books, error) {
	rows, err := db.Pool.Query(ctx, readBooksSQL)
	if err != nil {
		return books{}, fmt.Errorf("read the books: %w", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[books])
	if err != nil {
		return books{}, fmt.Errorf("read the books: %w", err)
	}
	return b, nil
}

// audit holds the contestants that work on equal orders to equal books: those of the first that ends.
type audit struct {
	mu    sync.Mutex
	first *books
}

// check answers an error unless every order is processed, by a completed job, the invariants hold and
// the books are those of the other contestants.
func (a *audit) check(ctx context.Context, db *Database) error {
	if err := checkSound(ctx, db); err != nil {
		return err
	}
	b, err := readBooks(ctx, db)
	if err != nil {
		return err
	}
	if b.Processed != b.Orders || b.JobsCompleted != b.AllJobs || b.AllJobs != b.Orders {
		return fmt.Errorf("of %d orders %d are processed, of %d jobs %d completed", b.Orders, b.Processed, b.AllJobs, b.JobsCompleted)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first == nil {
		a.first = &b
	}
	if b != *a.first {
		return fmt.Errorf("the books differ from those of another contestant: %+v, not %+v", b, *a.first)
	}
	return nil
}
