package report_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/report"
	"backoffice/jobs"
)

func day(n, hour int) time.Time { return time.Date(2026, time.March, n, hour, 0, 0, 0, time.UTC) }

func (m market) track(sku string, onHand int, at time.Time) {
	m.t.Helper()
	m.inTx(func(tx pgx.Tx) error { return order.Track(m.t.Context(), tx, sku, "A "+sku, onHand, at) })
}

func (m market) receive(sku string, quantity int, at time.Time) {
	m.t.Helper()
	m.inTx(func(tx pgx.Tx) error {
		_, _, err := order.Receive(m.t.Context(), tx, m.jobs, sku, quantity, at)
		return err
	})
}

func (m market) correct(sku string, onHand int, at time.Time) {
	m.t.Helper()
	m.inTx(func(tx pgx.Tx) error {
		_, _, err := order.Correct(m.t.Context(), tx, m.jobs, sku, onHand, at)
		return err
	})
}

func (m market) movements() int64 {
	m.t.Helper()
	return m.number(`select coalesce(max(id), 0) from stock_movements`)
}

// sellAndGiveBack does to two products what can be done to one, before, in and after 2 to 5 March.
func (m market) sellAndGiveBack() {
	m.track("pen", 100, day(1, 8))
	m.track("Pen", 5, day(3, 8)) // another product: skus are compared byte for byte
	m.exec(`insert into products (sku) values ('untracked')`)
	sold := m.place(
		order.Draft{Lines: []order.Line{item("pen", 7, "1"), item("untracked", 3, "1")}},
		order.Draft{Lines: []order.Line{item("pen", 4, "1"), {Kind: order.LineGift, SKU: "pen", Quantity: 1}}},
		order.Draft{Kind: order.KindCredit, Lines: []order.Line{item("pen", -2, "1")}},
		order.Draft{Kind: order.KindAdjustment, Lines: []order.Line{{Kind: order.LineWriteOff, SKU: "pen", Quantity: -3}}},
		order.Draft{Lines: []order.Line{item("pen", 10, "1")}})
	m.process(day(1, 23), order.StatusProcessed, sold[0])
	m.process(day(2, 0), order.StatusProcessed, sold[1])
	m.process(day(3, 9), order.StatusProcessed, sold[2])
	m.process(day(4, 9), order.StatusProcessed, sold[3])
	m.receive("pen", 20, day(5, 23))
	m.correct("pen", 90, day(5, 23)) // from 107
	m.process(day(6, 0), order.StatusProcessed, sold[4])
	waiting := m.place(order.Draft{Lines: []order.Line{item("Pen", 8, "1")}}, order.Draft{Lines: []order.Line{item("Pen", 6, "1")}})
	m.process(day(6, 1), order.StatusAwaitingStock, waiting...)
}

func TestStockTellsWhatMovedAndWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.sellAndGiveBack()
	watermark := m.movements()
	m.receive("pen", 1000, day(4, 9)) // above the watermark, whenever it happened
	m.correct("Pen", 4, day(7, 9))
	doc := build(t, m.pool, "stock", `{"from": "2026-03-02", "to": "2026-03-05"}`, watermark)
	// sku, description, on hand, waiting orders, units needed, at start, opened, received, sold, returned,
	// written off, corrected, at end, last movement
	wantLines(t, "products", doc.section("product").rows, []string{
		"Pen|A Pen|5|2|14|0|5|0|0|0|0|0|5|2026-03-03T08:00:00Z",
		"pen|A pen|80|0|0|93|0|20|-5|2|-3|-17|90|2026-03-06T00:00:00Z",
	})
}

func TestStockCountsInTheDaysOfItsTimezone(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.sellAndGiveBack()
	for zone, want := range map[string]string{
		"Asia/Tokyo":       "80 100 0 -12 2 -3 0 87", // what was sold on the 1st at 23:00 of UTC was sold on the 2nd there, the receipt and the correction of the 5th at 23:00 of UTC happen on the 6th there
		"America/New_York": "80 88 20 -10 2 -3 -17 80",
	} {
		doc := build(t, m.pool, "stock", fmt.Sprintf(`{"from": "2026-03-02", "to": "2026-03-05", "timezone": %q}`, zone), everything)
		got := doc.section("product").columns("on_hand", "at_start", "received", "sold", "returned", "written_off", "corrected", "at_end")[1]
		if got != want {
			t.Errorf("%s: got %s, want %s", zone, got, want)
		}
	}
}

func TestStockOfProductsThatNeverMoved(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.exec(`insert into products (sku, on_hand) select 'P' || to_char(n, 'FM0000'), 3 from generate_series(1, 2500) as n`)
	rows := build(t, m.pool, "stock", `{"from": "2026-03-02", "to": "2026-03-05"}`, 0).section("product").rows
	if len(rows) != 2500 || rows[0] != "P0001|-|3|0|0|3|0|0|0|0|0|0|3|-" || rows[2499][:5] != "P2500" {
		t.Errorf("%d products, the first %s", len(rows), rows[0])
	}
}

// TestStockGoesOnFromChunkToChunk has more movements than one query adds up.
func TestStockGoesOnFromChunkToChunk(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.exec(`insert into products (sku, on_hand) values ('A', 120000), ('B', 60000)`)
	m.exec(`insert into stock_movements (sku, quantity, reason, at)
	        select case when n % 3 = 0 then 'B' else 'A' end, 3, 'receipt', timestamptz '2026-03-03 00:00Z' from generate_series(1, 60000) as n`)
	wantLines(t, "products", build(t, m.pool, "stock", `{"from": "2026-03-02", "to": "2026-03-05"}`, everything).section("product").columns("sku", "at_start", "received", "at_end"),
		[]string{"A 0 120000 120000", "B 0 60000 60000"})
}

func TestStockIsMadeAnewBecauseOrdersWaitWithoutAMovement(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.exec(`insert into products (sku, on_hand) values ('A', 0)`)
	o.work("test")
	asked := jobs.GenerateReportArgs{Type: "stock", Format: "csv", Params: json.RawMessage(`{"from": "2026-03-02", "to": "2026-03-04"}`)}
	_, first := o.make(asked)
	o.exec(`insert into order_waits (sku, order_id, needed, since) values ('A', 41, 7, now())`)
	again := o.request(asked)
	if again.Existing {
		t.Fatalf("the answer is report %d, as before", first.ID)
	}
	o.await(again.Report.ID, report.StatusCompleted)
	if content := string(o.read(again.Report.ID)); !strings.Contains(content, "A,,0,1,7,") {
		t.Errorf("the order that waits is not in it:\n%s", content)
	}
}
