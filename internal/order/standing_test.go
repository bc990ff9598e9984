package order_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

func TestStandAndRecentReadABoundedNumberOfOrders(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	ctx := t.Context()
	const all = 5 * order.CountNewest
	for _, sql := range []string{
		`insert into orders (number) select n::text from generate_series(1, 50000) n`,
		`update orders set status = case when id % 10000 = 5 then 'rejected' when id <= 3000 then 'awaiting_stock' else 'processed' end where id <= 49000`,
		`insert into order_waits (sku, order_id, needed, since) select sku, id, 1, now() from orders, unnest('{A,B}'::text[]) sku where id <= 3000`,
		`vacuum analyze orders`, // as autovacuum would
		`vacuum analyze order_waits`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx) //nolint:errcheck // nothing was written
	begun := readOf(t, tx)
	standing, err := order.Stand(ctx, tx)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[order.Status]int{order.StatusPlaced: 1000, order.StatusProcessed: 8999, order.StatusRejected: 1, order.StatusCancelled: 0, order.StatusAwaitingStock: 3000} {
		if got := standing.ByStatus[status]; got != want {
			t.Errorf("%d %s orders, want %d", got, status, want)
		}
	}
	if !standing.More {
		t.Error("Stand does not say that there are older orders")
	}

	var found []int64
	pages := 0
	for before := int64(0); pages == 0 || before > 0; pages++ {
		page, next, err := order.Recent(ctx, tx, order.StatusRejected, before, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			found = append(found, o.ID)
		}
		if before = next; pages > 10 {
			t.Fatal("Recent goes on for ever")
		}
	}
	if len(found) != 5 || found[0] != 40005 || found[4] != 5 || pages != 6 {
		t.Errorf("Recent found %v on %d pages, want 40005, 30005, 20005, 10005 and 5 on 6, of which the last is empty", found, pages)
	}
	waiting, next, err := order.Recent(ctx, tx, order.StatusAwaitingStock, 0, 2)
	if err != nil || len(waiting) != 2 || waiting[0].ID != 3000 || next != 2999 {
		t.Errorf("waiting: %+v, next %d, %v", waiting, next, err)
	}

	ended := readOf(t, tx)
	scans, read := ended.scans-begun.scans, ended.rows-begun.rows
	// Each look reads its newest orders at most once by id, and once more for their status.
	if most := (2 + 2*pages) * (order.CountNewest + 1); scans > 0 || read > most {
		t.Errorf("orders was scanned %d times and %d of its %d rows were fetched, want no scan and at most %d", scans, read, all, most)
	}
}

// tableReads is what a session has read of orders and not reported yet.
type tableReads struct{ scans, rows int }

func readOf(t *testing.T, tx pgx.Tx) (r tableReads) {
	t.Helper()
	err := tx.QueryRow(t.Context(), `select seq_scan, coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relname = 'orders'`).Scan(&r.scans, &r.rows)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
