package order

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Product is something that is sold. The order of the fields is that of the columns read.
type Product struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	OnHand      *int   `json:"on_hand"` // null: stock is not tracked, and never short
	Waiting     int    `json:"waiting"` // orders that wait for it
}

const getProductSQL = `
select /* order.GetProduct */ p.sku, p.description, p.on_hand,
       (select count(*) from order_waits w where w.sku = p.sku)
  from products p
 where p.sku = $1`

// GetProduct answers one product, or ErrNotFound.
func GetProduct(ctx context.Context, db postgres.DB, sku string) (Product, error) {
	if !storable(sku) {
		return Product{}, noProduct(sku)
	}
	rows, err := db.Query(ctx, getProductSQL, sku)
	if err != nil {
		return Product{}, fmt.Errorf("get product %q: %w", sku, err)
	}
	product, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Product])
	if errors.Is(err, pgx.ErrNoRows) {
		return Product{}, noProduct(sku)
	}
	if err != nil {
		return Product{}, fmt.Errorf("get product %q: %w", sku, err)
	}
	return product, nil
}

func noProduct(sku string) error { return say(ErrNotFound, "product %q does not exist", sku) }

// ProductFilter says which products to list.
type ProductFilter struct {
	After   string // the sku that the last page ended with; empty: from the first
	Limit   int    // at most MaxLimit; 0: DefaultLimit
	Waiting bool   // only products that orders wait for
}

const listProductsSQL = `
select /* order.ListProducts */ p.sku, p.description, p.on_hand,
       (select count(*) from order_waits w where w.sku = p.sku)
  from products p
 where p.sku > $1
   and (not $2 or exists (select from order_waits w where w.sku = p.sku))
 order by p.sku
 limit $3`

// ListProducts answers products by sku, byte for byte.
func ListProducts(ctx context.Context, db postgres.DB, f ProductFilter) ([]Product, error) {
	limit, err := pageLimit(f.Limit)
	if err != nil {
		return nil, err
	}
	if err := checkText("products", "after", f.After, maxTextBytes); err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, listProductsSQL, f.After, f.Waiting, limit)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	products, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Product])
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return products, nil
}
