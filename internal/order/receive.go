package order

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// Receive adds quantity units (above zero) to a tracked product, notes the receipt among its
// movements, and enqueues the orders that wait for it and can now have it, oldest first. It answers
// the product and how many orders were enqueued. ErrNotFound: no such product; ErrNotTracked: it keeps
// no stock; ErrInvalid: the quantity is out of range.
func Receive(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, sku string, quantity int, now time.Time) (product Product, woken int, err error) {
	if quantity < 1 || quantity > math.MaxInt32 {
		return Product{}, 0, say(ErrInvalid, "quantity %d is out of range; receive from 1 to %d", quantity, math.MaxInt32)
	}
	onHand, err := lockTracked(ctx, tx, sku)
	if err != nil {
		return Product{}, 0, err
	}
	level := onHand + int64(quantity)
	if level > math.MaxInt32 {
		return Product{}, 0, say(ErrInvalid, "quantity %d is out of range: with %d on hand, at most %d can be received", quantity, onHand, math.MaxInt32-onHand)
	}
	return setLevel(ctx, tx, enq, sku, onHand, level, "receipt", now)
}

// Correct sets what a stocktake found of a tracked product, notes the difference among its movements,
// and enqueues the orders that wait for it and can now have it, oldest first. It answers the product
// and how many orders were enqueued. Errors are those of Receive.
func Correct(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, sku string, onHand int, now time.Time) (Product, int, error) {
	if err := checkOnHand(onHand); err != nil {
		return Product{}, 0, err
	}
	before, err := lockTracked(ctx, tx, sku)
	if err != nil {
		return Product{}, 0, err
	}
	return setLevel(ctx, tx, enq, sku, before, int64(onHand), "correction", now)
}

const trackSQL = `
insert /* order.Track */ into products (sku, description, on_hand)
values ($1, $2, $3)
    on conflict (sku) do update
   set on_hand = excluded.on_hand,
       description = case when excluded.description = '' then products.description else excluded.description end
 where products.on_hand is null`

const openingSQL = `
insert /* order.Track */ into stock_movements (sku, quantity, reason, at)
values ($1, $2, 'opening', $3)`

// Track begins to keep stock of a product with onHand units, and creates the product if need be; an
// empty description leaves a stored one as it is. Orders processed before took nothing.
// ErrTracked: its stock is tracked already, see Correct.
func Track(ctx context.Context, tx pgx.Tx, sku, description string, onHand int, now time.Time) error {
	if err := checkProduct(sku, description); err != nil {
		return err
	}
	if err := checkOnHand(onHand); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, trackSQL, sku, description, onHand)
	if err != nil {
		return fmt.Errorf("track product %q: %w", sku, err)
	}
	if tag.RowsAffected() == 0 {
		return say(ErrTracked, "stock of product %q is tracked already; correct or receive it instead", sku)
	}
	if _, err := tx.Exec(ctx, openingSQL, sku, onHand, now); err != nil {
		return fmt.Errorf("track product %q: note the opening: %w", sku, err)
	}
	return nil
}

const lockProductSQL = `
select /* order.Receive */ on_hand
  from products
 where sku = $1
   for update`

// lockTracked locks a product and answers what is on hand.
func lockTracked(ctx context.Context, tx pgx.Tx, sku string) (int64, error) {
	var onHand *int64
	err := pgx.ErrNoRows
	if storable(sku) {
		err = tx.QueryRow(ctx, lockProductSQL, sku).Scan(&onHand)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, noProduct(sku)
	case err != nil:
		return 0, fmt.Errorf("lock product %q: %w", sku, err)
	case onHand == nil:
		return 0, say(ErrNotTracked, "stock of product %q is not tracked; begin tracking it first", sku)
	}
	return *onHand, nil
}

const setLevelSQL = `
update /* order.Receive */ products
   set on_hand = $2
 where sku = $1`

const noteMovementSQL = `
insert /* order.Receive */ into stock_movements (sku, quantity, reason, at)
values ($1, $2, $3, $4)`

// setLevel changes what is on hand of a locked product and wakes who waits for it.
func setLevel(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, sku string, before, after int64, reason string, now time.Time) (Product, int, error) {
	batch := &pgx.Batch{}
	batch.Queue(planSQL)
	if after != before {
		batch.Queue(setLevelSQL, sku, after)
		batch.Queue(noteMovementSQL, sku, after-before, reason, now)
	}
	var risen []string
	if after > before {
		risen = append(risen, sku)
	}
	var waiting []int64
	queueWake(batch, risen, []int64{}, &waiting)
	var product Product
	batch.Queue(getProductSQL, sku).Query(func(rows pgx.Rows) error {
		var err error
		product, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Product])
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Product{}, 0, fmt.Errorf("note %s of product %q: %w", reason, sku, err)
	}
	woken, err := enqueue(ctx, tx, enq, waiting)
	if err != nil {
		return Product{}, 0, fmt.Errorf("note %s of product %q: wake %d orders: %w", reason, sku, len(waiting), err)
	}
	return product, woken, nil
}

// checkProduct refuses a product that cannot be stored.
func checkProduct(sku, description string) error {
	if sku == "" {
		return say(ErrInvalid, "sku is empty; name the product")
	}
	if err := checkText("product", "sku", sku, maxKeyBytes); err != nil {
		return err
	}
	return checkText("product", "description", description, maxTextBytes)
}

func checkOnHand(onHand int) error {
	if onHand < 0 || onHand > math.MaxInt32 {
		return say(ErrInvalid, "%d on hand is out of range; give from 0 to %d", onHand, math.MaxInt32)
	}
	return nil
}
