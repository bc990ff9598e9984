package report_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/report/render"
)

// known is a customer in one currency, as the drafts tell of it.
type known struct {
	currency, number string
	last             time.Time // day
	days, orders     int
	net              decimal.Decimal
}

// knownOf adds up drafts by customer and currency, the highest net first.
func knownOf(drafts []order.Draft, zone *time.Location, to time.Time) []known {
	sums := map[string]*known{}
	for _, d := range drafts {
		if d.Customer == "" {
			continue
		}
		k := sums[d.Currency+d.Customer]
		if k == nil {
			k = &known{currency: d.Currency, number: d.Customer}
			sums[d.Currency+d.Customer] = k
		}
		for _, l := range d.Lines {
			if l.Kind == order.LineItem || l.Kind == order.LineAdjustment {
				k.net = k.net.Add(l.UnitPrice.Mul(decimal.NewFromInt(int64(l.Quantity))))
			}
		}
		if d.Kind == order.KindSale {
			k.orders++
			day, _ := time.Parse(time.DateOnly, d.PlacedAt.In(zone).Format(time.DateOnly))
			if day.After(k.last) {
				k.last, k.days = day, int(to.Sub(day).Hours()/24)
			}
		}
	}
	var all []known
	for _, k := range sums {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b known) int {
		return cmp.Or(strings.Compare(a.currency, b.currency), b.net.Cmp(a.net), strings.Compare(a.number, b.number))
	})
	return all
}

// scored is a customer's line, scored by comparing with every other one of the currency.
func scored(k known, all []known) string {
	var of, longerAgo, seldomer, less int
	for _, other := range all {
		if other.currency != k.currency || other.orders == 0 {
			continue
		}
		of++
		if other.days > k.days {
			longerAgo++
		}
		if other.orders < k.orders {
			seldomer++
		}
		if other.net.LessThan(k.net) {
			less++
		}
	}
	if k.orders == 0 {
		return fmt.Sprintf("%s returns only %s - - 0 %s - - -", k.number, k.currency, k.net)
	}
	r, f, m := 1+5*longerAgo/of, 1+5*seldomer/of, 1+5*less/of
	return fmt.Sprintf("%s %s %s %s %d %d %s %d %d %d", k.number, segmentName(r, (f+m)/2), k.currency, k.last.Format(time.DateOnly), k.days, k.orders, k.net, r, f, m)
}

func segmentName(recency, value int) string {
	table := map[string][3]string{ // by value: 1, 2 to 3, 4 to 5
		"recent": {"new", "promising", "champions"},
		"middle": {"about to sleep", "needs attention", "loyal"},
		"old":    {"lost", "hibernating", "at risk"},
	}
	row := table["old"]
	if recency == 3 {
		row = table["middle"]
	}
	if recency > 3 {
		row = table["recent"]
	}
	return row[value/2]
}

// TestCustomersAreScoredAgainstEachOther compares every line with one worked out in Go.
func TestCustomersAreScoredAgainstEachOther(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	processed, watermark := m.strayOrders(strayDrafts(rand.New(rand.NewPCG(6, 4)), 300))
	for _, place := range []string{"Europe/London", "Pacific/Kiritimati"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			const from, to = "2011-03-20", "2011-04-09"
			zone, err := time.LoadLocation(place)
			if err != nil {
				t.Fatal(err)
			}
			var inside []order.Draft
			for _, d := range processed {
				if day := d.PlacedAt.In(zone).Format(time.DateOnly); day >= from && day <= to {
					inside = append(inside, d)
				}
			}
			last, _ := time.Parse(time.DateOnly, to)
			all := knownOf(inside, zone, last)
			var want []string
			for _, k := range all {
				want = append(want, scored(k, all))
			}
			params := fmt.Sprintf(`{"from": %q, "to": %q, "timezone": %q}`, from, to, place)
			columns := []string{"customer", "segment", "currency", "last_order", "recency_days", "orders", "net", "recency_score", "frequency_score", "monetary_score"}
			doc := build(t, m.pool, "customers", params, watermark)
			wantLines(t, "customers", doc.section("customer").columns(columns...), want)
			wantSegments(t, doc, all, want)

			page := build(t, m.pool, "customers", params, watermark, render.FormatHTML)
			if got, names := namesOf(page), []string{"segment_EUR", "customer_EUR", "segment_GBP", "customer_GBP"}; !slices.Equal(got, names) {
				t.Fatalf("readers get %v, want %v", got, names)
			}
			if page.done != 1 {
				t.Errorf("the work ends at %g, want 1", page.done)
			}
			both := append(page.section("customer_EUR").rows, page.section("customer_GBP").rows...)
			wantLines(t, "customers to read", without(both), without(doc.section("customer").rows, 1, 3))

			forPrograms := build(t, m.pool, "customers", params, watermark, render.FormatCSV)
			if len(forPrograms.sections) != 1 {
				t.Errorf("csv has %d sections, want the customers alone", len(forPrograms.sections))
			}
			wantLines(t, "customers in csv", forPrograms.section("customer").columns(columns...), want)
		})
	}
}

// without leaves columns out of lines.
func without(lines []string, columns ...int) []string {
	rest := make([]string, len(lines))
	for i, line := range lines {
		var kept []string
		for at, value := range strings.Split(line, "|") {
			if !slices.Contains(columns, at) {
				kept = append(kept, value)
			}
		}
		rest[i] = strings.Join(kept, "|")
	}
	return rest
}

// wantSegments counts the lines of customers in each segment.
func wantSegments(t *testing.T, doc built, all []known, lines []string) {
	t.Helper()
	found := 0
	for _, row := range doc.section("segment").columns("currency", "customers", "orders", "net", "segment") {
		fields := strings.SplitN(row, " ", 5)
		currency, segment := fields[0], fields[4]
		var customers, orders int
		var net decimal.Decimal
		for i, k := range all {
			if k.currency == currency && strings.HasPrefix(lines[i], k.number+" "+segment+" "+currency+" ") {
				customers, orders, net = customers+1, orders+k.orders, net.Add(k.net)
			}
		}
		if want := fmt.Sprintf("%s %d %d %s %s", currency, customers, orders, net, segment); row != want {
			t.Errorf("segment: got %s, want %s", row, want)
		}
		found += customers
	}
	if found != len(all) {
		t.Errorf("segments hold %d customers of %d", found, len(all))
	}
}

func TestEqualCustomersHaveEqualScores(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.fill(1000) // one order of the same price each, at most a day apart
	doc := build(t, m.pool, "customers", `{"from": "2011-01-01", "to": "2011-01-01"}`, everything)
	got := slices.Compact(doc.section("customer").columns("segment", "orders", "net", "recency_days", "recency_score", "frequency_score", "monetary_score"))
	wantLines(t, "customers", got, []string{"lost 1 1.5 0 1 1 1"})
}

func TestCustomersOfNothingSaySo(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.fill(10)
	doc := build(t, m.pool, "customers", `{"from": "2010-01-01", "to": "2010-12-31"}`, everything)
	if note := doc.section("segment").Note; note != "No customer has a processed order that was placed in this period." {
		t.Errorf("the note says %q", note)
	}
	wantLines(t, "segments", doc.section("segment").rows, nil)
	wantLines(t, "customers", doc.section("customer").rows, nil)
}

// TestCustomersGoOnFromChunkToChunk has customers whose orders do not fit into one query, and more customers
// than are named at once.
func TestCustomersGoOnFromChunkToChunk(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.fill(10_000)
	m.exec(`insert into customers (number) select 'D' || n from generate_series(1, 1500) as n`)
	m.exec(`insert into orders (id, customer_id, placed_at) overriding system value
	        select 100000000 + n, 1000 + least(n, 1500), timestamptz '2012-01-01 00:00Z' + n * interval '1 second' from generate_series(1, 25000) as n`)
	m.exec(`insert into order_lines (order_id, line_no, sku, quantity, unit_price) select 100000000 + n, 1, 'S', 1, 2 from generate_series(1, 25000) as n`)
	m.exec(`insert into order_transitions (order_id, from_status, to_status, at) select 100000000 + n, 'placed', 'processed', now() from generate_series(1, 25000) as n`)
	doc := build(t, m.pool, "customers", `{"from": "2011-01-01", "to": "2012-12-31"}`, everything)
	rows := doc.section("customer").columns("customer", "orders", "net", "last_order")
	if len(rows) != 2500 {
		t.Fatalf("%d customers, want 2,500", len(rows))
	}
	wantLines(t, "the best customers", rows[:2], []string{"D1500 23501 47002 2012-01-01", "C0 10 15 2011-01-07"})
	wantLines(t, "the last customer", rows[2499:], []string{"D1499 1 2 2012-01-01"})
}
