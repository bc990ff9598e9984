package migrations_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/pgtest"
)

// The rules that the database keeps by itself, whoever writes to it.

func TestOrderStatusChanges(t *testing.T) {
	t.Parallel()
	allowed := map[[2]string]bool{
		{"placed", "awaiting_stock"}: true, {"placed", "processed"}: true, {"placed", "rejected"}: true, {"placed", "cancelled"}: true,
		{"awaiting_stock", "processed"}: true, {"awaiting_stock", "rejected"}: true, {"awaiting_stock", "cancelled"}: true,
	}
	statuses := []string{"placed", "awaiting_stock", "processed", "rejected", "cancelled"}
	for _, from := range statuses {
		for _, to := range statuses {
			want := "orders_status_change"
			if from == to || allowed[[2]string{from, to}] {
				want = ""
			}
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				tx := pgtest.Tx(t)
				id := placeOrder(t, tx, from)
				_, err := tx.Exec(t.Context(), "update orders set status = $2 where id = $1", id, to)
				wantConstraint(t, err, want)
			})
		}
	}
}

func TestOrderRules(t *testing.T) {
	t.Parallel()
	const line = "insert into order_lines (order_id, line_no, sku, quantity, unit_price) "
	for _, tc := range []struct {
		rule   string
		status string // of the order $1, which has one line
		sql    string
		want   string // constraint, or "" when allowed
	}{
		{"an order needs nothing but its defaults", "", "insert into orders default values", ""},
		{"an order begins as placed", "", "insert into orders (status) values ('processed')", "orders_status_change"},
		{"a status is one of five", "", "insert into orders (status) values ('lost')", "orders_status_change"},
		{"a kind is one of three", "", "insert into orders (kind) values ('gift')", "orders_kind_check"},
		{"a currency has three letters", "", "insert into orders (currency) values ('gbp')", "orders_currency_check"},
		{"a number is used once", "placed", "insert into orders (number) select number from orders where id = $1", "orders_number_key"},

		{"the number never changes", "placed", "update orders set number = number || 'x' where id = $1", "orders_immutable"},
		{"the kind never changes", "placed", "update orders set kind = 'credit' where id = $1", "orders_immutable"},
		{"the customer never changes", "placed", "update orders set customer_id = -1 where id = $1", "orders_immutable"},
		{"the country never changes", "placed", "update orders set country = 'France' where id = $1", "orders_immutable"},
		{"the currency never changes", "placed", "update orders set currency = 'EUR' where id = $1", "orders_immutable"},
		{"placed_at never changes", "placed", "update orders set placed_at = placed_at - interval '1 day' where id = $1", "orders_immutable"},
		{"not even once processed", "processed", "update orders set country = 'France' where id = $1", "orders_immutable"},
		{"the same value is no change", "placed", "update orders set country = country where id = $1", ""},
		{"the reason may change", "placed", "update orders set reason = 'asked twice' where id = $1", ""},
		{"enqueued may change", "placed", "update orders set enqueued = true where id = $1", ""},
		{"an order with lines cannot be deleted", "placed", "delete from orders where id = $1", "order_lines_order_id_fkey"},

		{"a placed order takes lines", "placed", line + "values ($1, 2, 'a', 1, 1)", ""},
		{"an awaiting order takes none", "awaiting_stock", line + "values ($1, 2, 'a', 1, 1)", "order_lines_closed"},
		{"a processed order takes none", "processed", line + "values ($1, 2, 'a', 1, 1)", "order_lines_closed"},
		{"a rejected order takes none", "rejected", line + "values ($1, 2, 'a', 1, 1)", "order_lines_closed"},
		{"a cancelled order takes none", "cancelled", line + "values ($1, 2, 'a', 1, 1)", "order_lines_closed"},
		{"one late line refuses all", "processed", "with fresh as (insert into orders default values returning id) " + line +
			"select id, 1, 'a', 1, 1 from fresh union all select $1, 2, 'a', 1, 1", "order_lines_closed"},
		{"a line belongs to an order", "", line + "values (-1, 1, 'a', 1, 1)", "order_lines_order_id_fkey"},
		{"a line number is used once", "placed", line + "values ($1, 1, 'a', 1, 1)", "order_lines_pkey"},
		{"a line number begins at one", "placed", line + "values ($1, 0, 'a', 1, 1)", "order_lines_line_no_check"},
		{"a line has a sku", "placed", line + "values ($1, 2, '', 1, 1)", "order_lines_sku_check"},
		{"a line kind is one of four", "placed", "insert into order_lines (order_id, line_no, line_kind, sku, quantity, unit_price) values ($1, 2, 'tax', 'a', 1, 1)", "order_lines_line_kind_check"},
		{"a line never changes", "placed", "update order_lines set quantity = 2 where order_id = $1", "order_lines_immutable"},
		{"a line is never deleted", "placed", "delete from order_lines where order_id = $1", "order_lines_immutable"},
		{"an amount stays below a hundred thousand million", "placed", line + "values ($1, 2, 'a', 2000000000, 50)", "order_lines_amount_in_range"},
		{"and above its opposite", "placed", line + "values ($1, 2, 'a', -2000000000, 50)", "order_lines_amount_in_range"},
		{"the largest amount below fits", "placed", line + "values ($1, 2, 'a', 1999999999, 50)", ""},
		{"a thousandth is kept", "placed", line + "values ($1, 2, 'a', 1, 0.001)", ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			tx := pgtest.Tx(t)
			var args []any
			if tc.status != "" {
				args = append(args, placeOrder(t, tx, tc.status))
			}
			_, err := tx.Exec(t.Context(), tc.sql, args...)
			wantConstraint(t, err, tc.want)
		})
	}
}

func TestStockAndLedgerRules(t *testing.T) {
	t.Parallel()
	const (
		movement = "insert into stock_movements (sku, quantity, reason, order_id, at) values "
		entry    = "insert into ledger_entries (order_id, account, amount, at) values "
	)
	for _, tc := range []struct {
		rule string
		sql  string
		want string
	}{
		{"stock never falls below zero", "insert into products (sku, on_hand) values ('below', 1); update products set on_hand = on_hand - 2 where sku = 'below'", "products_never_oversold"},
		{"the last piece may go", "insert into products (sku, on_hand) values ('last', 1); update products set on_hand = on_hand - 1 where sku = 'last'", ""},
		{"untracked stock takes any quantity", "insert into products (sku) values ('untracked'); update products set on_hand = on_hand - 1000 where sku = 'untracked'", ""},
		{"a sku is not empty", "insert into products (sku) values ('')", "products_sku_check"},
		{"upper and lower case are two products", "insert into products (sku) values ('85123A'), ('85123a')", ""},

		{"an order takes stock once", "insert into order_effects (order_id, effect, applied_at) values (1, 'stock', now()), (1, 'ledger', now()), (1, 'stock', now())", "order_effects_pkey"},
		{"an effect is one of two", "insert into order_effects (order_id, effect, applied_at) values (1, 'mail', now())", "order_effects_effect_check"},
		{"an order moves a sku once per reason", movement + "('a', -1, 'sale', 1, now()), ('a', -1, 'sale', 1, now())", "stock_movements_order_id_sku_reason_key"},
		{"receipts of one sku are many", movement + "('a', 1, 'receipt', null, now()), ('a', 1, 'receipt', null, now())", ""},
		{"nothing moves by zero", movement + "('a', 0, 'sale', 1, now())", "stock_movements_check"},
		{"an opening may be zero", movement + "('a', 0, 'opening', null, now())", ""},
		{"a movement has one of six reasons", movement + "('a', 1, 'theft', null, now())", "stock_movements_reason_check"},
		{"an order posts once to an account", entry + "(1, 'receivable', 1, now()), (1, 'receivable', 1, now())", "ledger_entries_order_id_account_key"},
		{"nothing is posted for zero", entry + "(1, 'revenue', 0, now())", "ledger_entries_amount_check"},
		{"an account is one of two", entry + "(1, 'cash', 1, now())", "ledger_entries_account_check"},
		{"an order waits for a sku once", "insert into order_waits (sku, order_id, needed, since) values ('a', 1, 1, now()), ('a', 1, 2, now())", "order_waits_pkey"},
		{"nobody waits for nothing", "insert into order_waits (sku, order_id, needed, since) values ('a', 1, 0, now())", "order_waits_needed_check"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			_, err := pgtest.Tx(t).Exec(t.Context(), tc.sql, pgx.QueryExecModeSimpleProtocol)
			wantConstraint(t, err, tc.want)
		})
	}
}

// Whoever processes an order locks it; a line that comes meanwhile waits, and then sees the outcome.
func TestLineThatComesWhileItsOrderIsProcessedIsLate(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	var id int64
	must(t, pool.QueryRow(t.Context(), "insert into orders default values returning id").Scan(&id))
	processing, err := pool.Begin(t.Context())
	must(t, err)
	defer processing.Rollback(t.Context())
	exec(t, processing, "select from orders where id = $1 for update", id)
	late := make(chan error, 1)
	go func() {
		_, err := pool.Exec(t.Context(), "insert into order_lines (order_id, line_no, sku, quantity, unit_price) values ($1, 1, 'a', 1, 1)", id)
		late <- err
	}()
	pgtest.Eventually(t, "the line waits for the order", func() (waits bool, err error) {
		return waits, pool.QueryRow(t.Context(), "select exists (select from pg_locks where not granted)").Scan(&waits)
	})
	exec(t, processing, "update orders set status = 'processed' where id = $1", id)
	must(t, processing.Commit(t.Context()))
	wantConstraint(t, <-late, "order_lines_closed")
}

// placeOrder makes an order with one line and brings it to a status.
func placeOrder(t *testing.T, tx pgx.Tx, status string) (id int64) {
	t.Helper()
	must(t, tx.QueryRow(t.Context(), "insert into orders default values returning id").Scan(&id))
	exec(t, tx, "insert into order_lines (order_id, line_no, sku, quantity, unit_price) values ($1, 1, 'a', 1, 2.5)", id)
	exec(t, tx, "update orders set status = $2 where id = $1", id, status)
	return id
}

func wantConstraint(t *testing.T, err error, want string) {
	t.Helper()
	var refusal *pgconn.PgError
	switch {
	case err == nil && want == "":
	case err == nil:
		t.Errorf("allowed, want it refused by %s", want)
	case !errors.As(err, &refusal) || want == "":
		t.Errorf("refused: %v", err)
	case refusal.ConstraintName != want:
		t.Errorf("refused by %q (%v), want %s", refusal.ConstraintName, err, want)
	}
}
