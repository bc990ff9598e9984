package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"backoffice/internal/pgtest"
)

// failingShop has count orders, and after prepare all are tried of which good can be processed.
func failingShop(t *testing.T, count, good int, prepare string, args ...any) *Database {
	t.Helper()
	db := &Database{Name: "test", URL: pgtest.URL(t), Pool: pgtest.Pool(t)}
	if err := fillOrders(t.Context(), db, count); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), prepare, args...); err != nil {
		t.Fatal(err)
	}
	worked := newGathering()
	stop, err := startOneTx(t.Context(), db, worked.add)
	if err != nil {
		t.Fatal(err)
	}
	if err := worked.await(t.Context(), good); err != nil {
		t.Error(err)
	}
	pgtest.Eventually(t, "every job was tried", func() (all bool, err error) {
		err = db.Pool.QueryRow(t.Context(), `select count(*) = $1 from river_job where finalized_at is not null or errors is not null`, count).Scan(&all)
		return all, err
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return db
}

func figuresOf(t *testing.T, db *Database) (Figures, error) {
	t.Helper()
	return failureFigures(context.WithoutCancel(t.Context()), db, 1000, time.Second)
}

func TestFailuresThatOnlyTheGuiltyHaveCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, prepare string
		args          []any
	}{
		{"poison data", poisonSQL, []any{guiltyShare}},
		{"a trigger of the user's", refuseSQL, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db := failingShop(t, 200, 198, tc.prepare, tc.args...)
			figures, err := figuresOf(t, db)
			if err != nil {
				t.Fatal(err)
			}
			if figures["failed attempts"] < 2 || figures[ordersPerSecond] != 1000 {
				t.Errorf("figures %v", figures)
			}
		})
	}
}

func TestARunIsVoidInWhichOthersFailThanTheGuilty(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, spoil, want string
	}{
		{"a guilty order was processed", `update orders set status = 'processed' where id = 100`, "of 2 orders that must fail, 1 did"},
		{"a guilty order has a neighbour's error", `update river_job set errors = array[jsonb_build_object('error', 'process order 7: no')] where args ->> 'order_id' = '100'`, "of 2 orders that must fail, 1 did"},
		{"a sound order was left", `update river_job set state = 'available', finalized_at = null where args ->> 'order_id' = '7'`, "of 198 orders beside those that must fail, 197 are processed"},
		{"a sound order failed first", `update river_job set errors = array[jsonb_build_object('error', 'process order 7: no')] where args ->> 'order_id' = '7'`, "failed 1 times"},
		{"a rule is broken", `delete from ledger_entries where order_id = 7`, "ledger_of_orders"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db := failingShop(t, 200, 198, poisonSQL, guiltyShare)
			if _, err := db.Pool.Exec(t.Context(), tc.spoil); err != nil {
				t.Fatal(err)
			}
			if _, err := figuresOf(t, db); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestTheAuditSeesWhatDiffers(t *testing.T) {
	t.Parallel()
	whole := func(ctx context.Context, db *Database) error { return fillOrders(ctx, db, 60) }
	books := &audit{}
	bookkeeping(t, whole, books, workPlain)
	for _, tc := range []struct {
		name, spoil, want string
	}{
		{"an order that was not processed", `delete from ledger_entries where order_id = 7`, "check ledger_of_orders"},
		{"a job that River has not completed", `update river_job set state = 'available', finalized_at = null where args ->> 'order_id' = '7'`, "of 60 jobs 59 completed"},
		{"stock that only this contestant moved", `with moved as (insert into stock_movements (sku, quantity, reason, at) values ('P-00001', 5, 'opening', now()))
			update products set on_hand = 5 where sku = 'P-00001'`, "the books differ"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db := &Database{Name: "test", URL: pgtest.URL(t), Pool: pgtest.Pool(t)}
			if err := whole(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			if err := workPlain(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Pool.Exec(t.Context(), tc.spoil); err != nil {
				t.Fatal(err)
			}
			if err := books.check(t.Context(), db); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}
