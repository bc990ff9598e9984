package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"backoffice/internal/order"
	"backoffice/internal/order/importer"
)

// process works every job that is due.
func (s shop) process() {
	s.t.Helper()
	s.text("worker", "--once", "--queue", "orders=4", "--soft-stop", "5s")
}

func TestPlacedOrderIsListedShownAndProcessed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text("products", "receive", "A:1", "10", "--track", "--description", "a mug")
	var placed placedOrder
	s.json(&placed, "orders", "place", "--number", "7001", "--customer", "C1", "--country", "France", "--placed-at", "2026-01-31T08:00:00Z",
		"--line", "A:1:6:2.55", "--line", "B,2:3:0.001")
	if placed.ID == 0 || placed.JobID == 0 || placed.Status != order.StatusPlaced || len(placed.Lines) != 2 {
		t.Fatalf("placed %+v, want an order of 2 lines with its job", placed)
	}
	contains(t, s.text("orders", "list"), "NUMBER", "7001", "sale", "placed", "C1", "France", "2026-01-31 08:00:00Z")

	s.process()
	shown := s.text("orders", "show", fmt.Sprint(placed.ID))
	contains(t, shown, "(sale, number 7001) is processed", "by customer C1 in France, amount 15.303 GBP",
		"lines\n", "A:1", "status\n", "placed  processed", "effects\n", "ledger\n", "receivable   15.303", "stock movements\n", "jobs\n", "1 of 10")

	var story struct {
		order.Story
		Amount string `json:"amount"`
	}
	s.json(&story, "orders", "show", "--number", "7001")
	if story.Amount != "15.303" || len(story.Effects) != 2 || len(story.Entries) != 2 || len(story.Movements) != 1 || len(story.Jobs) != 1 {
		t.Errorf("story = %+v, want amount 15.303, 2 effects, 2 entries, 1 movement, 1 job", story)
	}
	refused(t, s.try("orders", "cancel", "--number", "7001"), exitFailed, "is processed already")
	refused(t, s.try("orders", "place", "--number", "7001", "--line", "A:1:1"), exitFailed, `number "7001" is taken`)
}

func TestPlacedOrderPrintsIdNumberAndJob(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	printed := s.text("orders", "place", "--kind", "credit", "--line", "A:-1:5")
	if want := regexp.MustCompile(`^order \d+ \(number [0-9a-f-]{36}\) is placed; job \d+ processes it\n$`); !want.MatchString(printed) {
		t.Errorf("printed %q, want it to match %s", printed, want)
	}
	var credits []order.Order
	s.json(&credits, "orders", "list", "--kind", "credit")
	if len(credits) != 1 || credits[0].Kind != order.KindCredit {
		t.Errorf("credits = %+v, want one", credits)
	}
}

func TestCancelledOrderTakesItsJobAlong(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var placed placedOrder
	s.json(&placed, "orders", "place", "--number", "7001", "--line", "A:1:1")
	contains(t, s.text("orders", "cancel", "--number", "7001", "--reason", "customer called"), "(number 7001) is cancelled")
	contains(t, s.text("orders", "show", "--number", "7001"), "is cancelled: customer called")
	var found job
	s.json(&found, "jobs", "show", fmt.Sprint(placed.JobID))
	if found.State != "cancelled" {
		t.Errorf("job is %s, want cancelled", found.State)
	}
}

func TestOrdersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if printed := s.text("orders", "list"); printed != "no such orders\n" {
		t.Errorf("printed %q of no orders", printed)
	}
	var none []order.Order
	s.json(&none, "orders", "list")
	if none == nil || len(none) != 0 {
		t.Errorf("JSON of no orders = %v, want []", none)
	}
	for n := range 3 {
		s.text("orders", "place", "--number", fmt.Sprint(7000+n), "--line", "A:1:1")
	}
	var first, second []order.Order
	s.json(&first, "orders", "list", "--limit", "2")
	s.json(&second, "orders", "list", "--limit", "2", "--after", fmt.Sprint(first[1].ID))
	if len(first) != 2 || first[0].Number != "7002" || len(second) != 1 || second[0].Number != "7000" {
		t.Errorf("pages = %+v, %+v, want 7002 and 7001, then 7000", first, second)
	}
}

func TestStockThatArrivesWakesTheWaitingOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	contains(t, s.text("products", "receive", "A", "2", "--track"), "A: 2 on hand; 0 orders enqueued")
	s.text("orders", "place", "--number", "7001", "--line", "A:5:1")
	s.process()
	contains(t, s.text("orders", "show", "--number", "7001"), "is awaiting_stock", "waits for\n")
	contains(t, s.text("products", "list", "--waiting"), "SKU  ON_HAND  WAITING", "A          2        1")

	var changed changedProduct
	s.json(&changed, "products", "receive", "A", "3")
	if changed.Woken != 1 || changed.OnHand == nil || *changed.OnHand != 5 {
		t.Errorf("received: %+v, want 5 on hand and 1 order woken", changed)
	}
	s.process()
	contains(t, s.text("orders", "show", "--number", "7001"), "is processed")

	s.json(&changed, "products", "correct", "A", "7")
	var shown order.Product
	s.json(&shown, "products", "show", "A")
	if *changed.OnHand != 7 || *shown.OnHand != 7 {
		t.Errorf("on hand = %d, shown as %d, want 7", *changed.OnHand, *shown.OnHand)
	}
	contains(t, s.text("products", "show", "A"), "A          7        0")
	refused(t, s.try("products", "receive", "A", "1", "--track"), exitFailed, "tracked already")
}

func TestImportCountsEveryLineAndWritesRejects(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	dir := t.TempDir()
	file, rejects := filepath.Join(dir, "shop.csv"), filepath.Join(dir, "rejects.csv")
	rows := []string{
		"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
		"536365,85123A,\"mug, white\",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
		"536365,22423,stand,1,2010-12-01 08:26:00,0.001,17850.0,United Kingdom",
		"C536379,D,discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom",
		"536999,71053,lamp,many,2010-12-01 10:00:00,3.39,,France",
	}
	if err := os.WriteFile(file, []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"orders", "import", file, "--rejects", rejects, "--credit-prefix", "C", "--timezone", "Europe/London",
		"--map", "number=InvoiceNo,sku=StockCode,description=Description,quantity=Quantity,placed_at=InvoiceDate,unit_price=UnitPrice,customer=CustomerID,country=Country"}
	var first, second importer.Result
	s.json(&first, args...)
	if first.LinesRead != 4 || first.OrderLines != 2 || first.CreditLines != 1 || first.RejectedLines != 1 ||
		first.Orders != 1 || first.Credits != 1 || first.DocumentsNew != 2 || first.NetAmount.String() != "-12.199" {
		t.Errorf("imported %+v", first)
	}
	written, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(written), "536999", "many", "5")

	s.json(&second, args...)
	if second.DocumentsNew != 0 || second.LinesNew != 0 || second.OrderLines != 2 {
		t.Errorf("imported again: %+v, want nothing new", second)
	}
	contains(t, s.text(args...), "DOCUMENTS", "net amount -12.199 GBP; new are 0 documents with 0 lines", "rejected line 5: order 536999", "1 line rejected; all of them are in "+rejects)
}

func TestProgressIsPlainLinesWithoutATerminal(t *testing.T) {
	t.Parallel()
	var printed strings.Builder
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	p := &progress{w: &printed, now: func() time.Time { return now }, last: now}
	state := importer.Progress{Lines: 20_000, Bytes: 25, TotalBytes: 100, Elapsed: 2 * time.Second}
	p.update(state)
	if printed.Len() > 0 {
		t.Errorf("printed %q at once, want nothing yet", printed.String())
	}
	now = now.Add(progressElsewhere)
	p.update(state)
	p.done()
	if want := "20,000 lines, 10,000 lines/s, 25%, about 6s left\n"; printed.String() != want {
		t.Errorf("printed %q, want %q", printed.String(), want)
	}
}
