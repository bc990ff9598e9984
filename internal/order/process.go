package order

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// Process settles orders: each takes all the stock it asks for, posts to the ledger and becomes
// processed; or takes nothing and waits for stock; or is rejected, because no stock could ever help.
// An order that is final already is answered and left as it is. There is one Answer per id, in order.
//
// The set shares one pair of round trips, and each order is judged as if those before it had been
// processed alone; one that waits or is rejected changes nothing for the others, and neither does one
// whose Answer has an error. An order of the set that is short takes what a later one gives back.
// Whatever stock rose wakes the orders outside the set that wait for it. now stamps every row written.
//
// An order that others have locked is answered with ErrBusy at once. Products are waited for, briefly:
// then the whole call fails with ErrBusy, and ProcessFree settles what can be. After any error roll tx
// back.
func Process(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64, now time.Time) ([]Answer, error) {
	return process(ctx, tx, enq, ids, now, locksFirst, nil)
}

// ProcessFree is Process for the orders whose products nobody else has locked; it waits for nothing.
// The others are answered with ErrBusy.
func ProcessFree(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64, now time.Time) ([]Answer, error) {
	return process(ctx, tx, enq, ids, now, locksFree, nil)
}

// ProcessQuick is Process for the common case that stock suffices for all: it reads stock without a lock
// and holds the products from its last statements to the commit only, so that transactions which want the
// same popular products hardly wait for each other. Where stock does not suffice it does as Process does.
// It fails with ErrMoved when others took what it had counted on: then Process decides.
//
// When products are yet to be locked, certain (if given) is called with the answers just before: what else
// the transaction has to write is best written there.
func ProcessQuick(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64, now time.Time, certain func([]Answer) error) ([]Answer, error) {
	return process(ctx, tx, enq, ids, now, locksLast, certain)
}

func process(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, ids []int64, now time.Time, locks locks, certain func([]Answer) error) ([]Answer, error) {
	unique := withoutRepeats(ids)
	if len(unique) == 0 {
		return nil, nil
	}
	orders, stock, err := lockAndRead(ctx, tx, unique, locks)
	if err != nil {
		return nil, fmt.Errorf("process %s: lock and read: %w", named(unique), busy(err))
	}
	open := openOf(unique, orders)
	settle(open, stock)
	if locks == locksLast && !suffices(open, stock) {
		locks = locksFirst
		if open, stock, err = readAgain(ctx, tx, open, orders); err != nil {
			return nil, fmt.Errorf("process %s: lock products and read again: %w", named(unique), busy(err))
		}
	}
	var beforeLocks func() error
	if locks == locksLast && certain != nil {
		beforeLocks = func() error { return certain(answers(ids, orders)) }
	}
	woken, err := write(ctx, tx, open, stock, unique, now, locks, beforeLocks)
	if err != nil {
		return nil, fmt.Errorf("process %s: write: %w", named(unique), busy(err))
	}
	if _, err := enqueue(ctx, tx, enq, woken); err != nil {
		return nil, fmt.Errorf("process %s: wake %s: %w", named(unique), named(woken), busy(err))
	}
	return answers(ids, orders), nil
}

// openOf answers the orders to be settled, in the order of their ids as given.
func openOf(ids []int64, orders map[int64]*candidate) []*candidate {
	var open []*candidate
	for _, id := range ids {
		if c := orders[id]; c != nil && c.err == nil && !c.was.Final() {
			open = append(open, c)
		}
	}
	return open
}

// suffices says whether every order is processed and would be in any other sequence too, so that nothing
// but the stock that they take together has to be there in the end.
func suffices(open []*candidate, stock *stock) bool {
	for _, c := range open {
		if c.status != StatusProcessed {
			return false
		}
	}
	for sku, taken := range stock.taken {
		if taken > stock.before[sku] {
			return false
		}
	}
	return true
}

// readAgain locks the products of the open orders, reads anew what they ask for, and settles them.
func readAgain(ctx context.Context, tx pgx.Tx, open []*candidate, orders map[int64]*candidate) ([]*candidate, *stock, error) {
	ids := make([]int64, len(open))
	for i, c := range open {
		c.forget()
		ids[i] = c.id
	}
	batch := &pgx.Batch{}
	stock := queueRead(batch, ids, orders, locksFirst)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, err
	}
	open = openOf(ids, orders)
	settle(open, stock)
	return open, stock, nil
}

// settle decides the orders in turn. Those left short are asked again, oldest first, for as long as an
// order of the set gave stock back since: their own jobs are live until the set commits, so nothing
// else could wake them.
func settle(open []*candidate, stock *stock) {
	rose := false
	for _, c := range open {
		rose = c.settle(stock) || rose
	}
	oldestFirst := slices.SortedFunc(slices.Values(open), func(a, b *candidate) int {
		return cmp.Or(a.placedAt.Compare(b.placedAt), cmp.Compare(a.id, b.id))
	})
	for rose {
		rose = false
		for _, c := range oldestFirst {
			if c.status == StatusAwaitingStock && c.mayTry(stock) {
				rose = c.settle(stock) || rose
			}
		}
	}
	for _, c := range open {
		if c.status == StatusAwaitingStock {
			c.findShort(stock) // what others of the set took since belongs to the wait
		}
	}
}

// settle decides one order, moves its stock when it is processed, and reports whether any rose.
func (c *candidate) settle(stock *stock) (rose bool) {
	c.decide(stock)
	return c.status == StatusProcessed && stock.apply(c)
}

// answers are one per id, repeats included.
func answers(ids []int64, orders map[int64]*candidate) []Answer {
	found := make([]Answer, len(ids))
	for i, id := range ids {
		found[i].OrderID = id
		if c := orders[id]; c != nil {
			found[i].Status, found[i].Reason, found[i].Err = c.status, c.reason, c.err
		}
	}
	return found
}

// withoutRepeats keeps the first of each id, in order.
func withoutRepeats(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	unique := make([]int64, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			unique = append(unique, id)
		}
	}
	return unique
}

// named names the orders of a set in an error.
func named(ids []int64) string {
	if len(ids) == 1 {
		return fmt.Sprintf("order %d", ids[0])
	}
	return fmt.Sprintf("%d orders (%d first)", len(ids), ids[0])
}
