package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// shopDrafts are documents as a real file holds them: credits, gifts, write-offs, corrections, repeated
// lines, and amounts that come to nothing.
func shopDrafts() []order.Draft {
	line := func(kind order.LineKind, sku string, quantity int, price string) order.Line {
		return order.Line{Kind: kind, SKU: sku, Quantity: quantity, UnitPrice: decimal.RequireFromString(price)}
	}
	var drafts []order.Draft
	for n := range 40 {
		drafts = append(drafts,
			order.Draft{Lines: []order.Line{line(order.LineItem, "P-00001", 1+n, "2.55"), line(order.LineItem, "P-00001", 2, "2.55"), line(order.LineGift, "P-00001", 1, "0"), line(order.LineItem, "P-00002", 3, "0.001")}},
			order.Draft{Kind: order.KindCredit, Lines: []order.Line{line(order.LineItem, "P-00002", -1-n, "1.25"), line(order.LineItem, "P-00003", -1, "4"), line(order.LineItem, "P-00003", 1, "4")}},
			order.Draft{Kind: order.KindAdjustment, Lines: []order.Line{line(order.LineWriteOff, "P-00003", -5, "0"), line(order.LineWriteOff, "P-00003", -1, "0")}},
			order.Draft{Kind: order.KindAdjustment, Lines: []order.Line{line(order.LineAdjustment, "P-00004", 1, "-11062.06")}},
			order.Draft{Lines: []order.Line{line(order.LineItem, "P-00005", 4, "3"), line(order.LineWriteOff, "P-00005", -2, "0"), line(order.LineGift, "UNKNOWN", 2, "0")}},
		)
	}
	return drafts
}

func fillShop(ctx context.Context, db *Database) error {
	if err := fillCatalogue(ctx, db); err != nil {
		return err
	}
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		_, err := order.Place(ctx, tx, inserter, shopDrafts()...)
		return err
	})
}

// bookkeepingSQL writes every row that processing orders leaves, without the ids and times that two runs
// cannot have in common: two ways to one result agree in the whole text.
const bookkeepingSQL = `
with job as (select id, args ->> 'order_id' as order_id, state from river_job)
select concat_ws(E'\n',
  (select string_agg(format('order %s %s %s %s', id, status, enqueued, reason), E'\n' order by id) from orders),
  (select string_agg(format('product %s %s', sku, on_hand), E'\n' order by sku) from products where on_hand is null or on_hand >= 0),
  (select string_agg(format('movement %s %s %s %s', order_id, sku, reason, quantity), E'\n' order by order_id, sku, reason) from stock_movements),
  (select string_agg(format('entry %s %s %s', order_id, account, amount), E'\n' order by order_id, account) from ledger_entries),
  (select string_agg(format('effect %s %s by its job: %s', e.order_id, effect, j.id is not null), E'\n' order by e.order_id, effect)
     from order_effects e left join job j on j.id = e.job_id and j.order_id = e.order_id::text),
  (select string_agg(format('transition %s %s %s by its job: %s', t.order_id, from_status, to_status, j.id is not null), E'\n' order by t.order_id, t.id)
     from order_transitions t left join job j on j.id = t.job_id and j.order_id = t.order_id::text),
  (select string_agg(format('wait %s %s', order_id, sku), E'\n' order by order_id, sku) from order_waits),
  (select string_agg(format('job of %s %s', order_id, state), E'\n' order by order_id) from job))`

// bookkeeping fills a database, lets work process all orders in it, audits it and answers what was left.
func bookkeeping(t *testing.T, fill func(context.Context, *Database) error, books *audit, work func(ctx context.Context, db *Database) error) string {
	t.Helper()
	db := &Database{Name: "test", URL: pgtest.URL(t), Pool: pgtest.Pool(t)}
	if err := fill(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := work(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := books.check(t.Context(), db); err != nil {
		t.Error(err)
	}
	var text string
	if err := db.Pool.QueryRow(t.Context(), bookkeepingSQL).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// workOneByOne processes all orders as the product does, each in a fenced transaction of its own.
func workOneByOne(ctx context.Context, db *Database) error {
	orders, err := listPlain(ctx, db)
	if err != nil {
		return err
	}
	worked := newGathering()
	stop, err := startOneTx(ctx, db, worked.add)
	if err != nil {
		return err
	}
	failed := worked.await(ctx, len(orders))
	if err := stop(); err != nil {
		return err
	}
	return failed
}

func workPlain(ctx context.Context, db *Database) error {
	orders, err := listPlain(ctx, db)
	if err != nil {
		return err
	}
	ran, err := runPlain(ctx, db.URL, orders, 8)
	if err == nil && ran.Deadlocks > 0 {
		err = fmt.Errorf("%d deadlocks", ran.Deadlocks)
	}
	return err
}

func workStock(ctx context.Context, db *Database) error {
	orders, err := listPlain(ctx, db)
	if err != nil {
		return err
	}
	return drainStock(ctx, db, orders)
}

func TestTheFloorsLeaveTheRowsThatTheProductLeaves(t *testing.T) {
	t.Parallel()
	generated := func(ctx context.Context, db *Database) error { return fillOrders(ctx, db, 300) }
	andTrack := func(fill func(context.Context, *Database) error) func(context.Context, *Database) error {
		return func(ctx context.Context, db *Database) error {
			if err := fill(ctx, db); err != nil {
				return err
			}
			return trackAll(ctx, db)
		}
	}
	for _, tc := range []struct {
		name string
		fill func(context.Context, *Database) error
		rows int // of stock_movements, opening ones left out
	}{
		{"generated orders", generated, 0},
		{"generated orders, stock tracked", andTrack(generated), 300 * linesPerOrder},
		{"documents of a shop", fillShop, 0},
		{"documents of a shop, stock tracked", andTrack(fillShop), 40 * (2 + 1 + 1 + 2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			books := &audit{}
			var product string
			t.Run("the product", func(t *testing.T) { product = bookkeeping(t, tc.fill, books, workOneByOne) })
			if got := strings.Count(product, "\nmovement ") - strings.Count(product, " opening "); got != tc.rows {
				t.Errorf("%d movements of orders, want %d", got, tc.rows)
			}
			for floor, work := range map[string]func(context.Context, *Database) error{"plain SQL": workPlain, "stock River": workStock} {
				t.Run(floor, func(t *testing.T) {
					if diff := cmp.Diff(strings.Split(product, "\n"), strings.Split(bookkeeping(t, tc.fill, books, work), "\n")); diff != "" {
						t.Errorf("the rows differ (-product +floor):\n%s", diff)
					}
				})
			}
		})
	}
}
