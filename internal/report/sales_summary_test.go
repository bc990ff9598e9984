package report_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"backoffice/internal/order"
	"backoffice/internal/report"
	"backoffice/internal/report/render"
)

var salesFigures = []string{"name", "currency", "orders", "credits", "units", "sales", "returns", "net", "average_order_value"}

// TestSalesSummaryAddsUpWhatWasProcessed compares every figure with a sum over the drafts, made in Go.
func TestSalesSummaryAddsUpWhatWasProcessed(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	processed, watermark := m.strayOrders(strayDrafts(rand.New(rand.NewPCG(6, 1)), 600))
	for _, tc := range []struct{ from, to, zone, by string }{
		{"2011-03-20", "2011-04-09", "Europe/London", "day"},
		{"2011-03-20", "2011-04-09", "UTC", "day"},
		{"2011-03-27", "2011-03-27", "Europe/London", "day"}, // a day of 23 hours
		{"2011-03-20", "2011-04-09", "Europe/London", "week"},
		{"2011-03-20", "2011-04-09", "Pacific/Kiritimati", "month"},
		{"2011-03-20", "2011-04-09", "America/St_Johns", "month"},
	} {
		t.Run(tc.by+" in "+tc.zone+" from "+tc.from, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			var inside []order.Draft
			for _, d := range processed {
				if day := d.PlacedAt.In(zone).Format(time.DateOnly); day >= tc.from && day <= tc.to {
					inside = append(inside, d)
				}
			}
			doc := build(t, m.pool, "sales-summary", fmt.Sprintf(`{"from": %q, "to": %q, "timezone": %q, "by": %q, "top": 7}`, tc.from, tc.to, tc.zone, tc.by), watermark)

			currencies := group(inside, func(d order.Draft) []string { return []string{d.Currency} })
			var total, spans []string
			for _, currency := range []string{"EUR", "GBP"} {
				_, line := tally(currencies[currency], "")
				total = append(total, currency+" "+line)
				spans = append(spans, spansOf(currencies[currency], currency, tc.from, tc.to, zone, tc.by)...)
			}
			wantLines(t, "total", doc.section("total").columns(salesFigures[1:]...), total)
			wantLines(t, "by "+tc.by, doc.section("period").columns(salesFigures...), spans)
			wantLines(t, "by country", doc.section("country").columns(salesFigures...),
				ranking(group(inside, func(d order.Draft) []string { return []string{d.Currency + " " + d.Country} }), false, 99))
			wantLines(t, "products", doc.section("product").columns(salesFigures...), ranking(group(inside, skusOf), true, 7))
		})
	}
}

func TestSalesSummaryOfOneCountryAndCurrency(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	processed, watermark := m.strayOrders(strayDrafts(rand.New(rand.NewPCG(6, 2)), 200))
	inside := slices.DeleteFunc(processed, func(d order.Draft) bool { return d.Country != "Österreich" || d.Currency != "GBP" })
	if len(inside) < 5 {
		t.Fatalf("only %d orders to look at", len(inside))
	}
	doc := build(t, m.pool, "sales-summary", `{"from": "2011-01-01", "to": "2011-12-31", "country": "Österreich", "currency": "GBP"}`, watermark)
	_, line := tally(inside, "")
	wantLines(t, "total", doc.section("total").columns(salesFigures[1:]...), []string{"GBP " + line})
	wantLines(t, "by country", doc.section("country").columns(salesFigures...), []string{"Österreich GBP " + line})
	totals := doc.section("period").Totals
	if got := text(totals); got != "Total|-|GBP|"+strings.ReplaceAll(line, " ", "|") {
		t.Errorf("months add up to %s, want %s", got, line)
	}
}

// TestSalesSummaryIsReadOneCurrencyAfterTheOther compares what readers get with what a spreadsheet holds.
func TestSalesSummaryIsReadOneCurrencyAfterTheOther(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	_, watermark := m.strayOrders(strayDrafts(rand.New(rand.NewPCG(6, 6)), 200))
	const params = `{"from": "2011-03-20", "to": "2011-04-09", "by": "week"}`
	sheet := build(t, m.pool, "sales-summary", params, watermark)
	page := build(t, m.pool, "sales-summary", params, watermark, render.FormatPDF)
	names := []string{"total", "period_EUR", "country_EUR", "product_EUR", "period_GBP", "country_GBP", "product_GBP"}
	if got := namesOf(page); !slices.Equal(got, names) {
		t.Fatalf("readers get %v, want %v", got, names)
	}
	figures := salesFigures[2:]
	for i, name := range []string{"period", "country", "product"} {
		both := append(page.section(name+"_EUR").columns(figures...), page.section(name+"_GBP").columns(figures...)...)
		wantLines(t, name, both, sheet.section(name).columns(figures...))
		for _, currency := range []string{"EUR", "GBP"} {
			s := page.section(name + "_" + currency)
			if len(s.Charts) != 1 || !strings.HasSuffix(s.Title, ", "+currency) || !strings.HasSuffix(s.Charts[0].YTitle, ", "+currency) {
				t.Errorf("%s in %s is titled %q and has %d charts", name, currency, s.Title, len(s.Charts))
			}
			if total := page.section("total").columns(figures...)[lineOf(currency)]; i < 2 && text(s.Totals[len(s.Totals)-7:]) != strings.ReplaceAll(total, " ", "|") {
				t.Errorf("%s in %s ends with %s, want %s", name, currency, text(s.Totals), total)
			}
		}
	}
}

func TestSalesSummaryOfNothingSaysSo(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.place(order.Draft{PlacedAt: time.Date(2011, 1, 5, 0, 0, 0, 0, time.UTC), Lines: []order.Line{item("A", 1, "2.50")}}) // never processed
	doc := build(t, m.pool, "sales-summary", `{"from": "2010-12-30", "to": "2011-01-31"}`, everything)
	if note := doc.section("total").Note; note != "No order that was placed in this period has been processed." {
		t.Errorf("the note says %q", note)
	}
	wantLines(t, "total", doc.section("total").rows, []string{"-|0|0|0|0|0|0|-"})
	wantLines(t, "by month", doc.section("period").rows, []string{
		"2010-12|30 to 31 Dec 2010 (2 of 31 days)|-|0|0|0|0|0|0|-", "2011-01|1 to 31 Jan 2011|-|0|0|0|0|0|0|-"})
	wantLines(t, "by country", doc.section("country").rows, nil)
	wantLines(t, "products", doc.section("product").rows, nil)
}

// TestSalesSummaryGoesOnFromChunkToChunk has more orders than one query looks at, with gaps between their ids.
// Nothing is analyzed: statistics say that the tables are empty.
func TestSalesSummaryGoesOnFromChunkToChunk(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.fill(25_000)
	doc := build(t, m.pool, "sales-summary", `{"from": "2010-01-01", "to": "2012-12-31", "top": 1}`, everything)
	wantLines(t, "total", doc.section("total").columns("orders", "units", "net"), []string{"25000 25000 37500"})
	wantLines(t, "products", doc.section("product").columns("name", "orders", "net"), []string{"S0 5000 7500"})
}

// fill inserts processed orders of one customer each by plain SQL, far apart in their ids: order n of customer
// n % 1000, with one unit of S(n % 5) at 1.50, placed n minutes after the begin of 2011.
func (m market) fill(orders int) {
	m.t.Helper()
	m.exec(`insert into customers (number) select 'C' || n from generate_series(0, 999) as n`)
	m.exec(`insert into orders (id, customer_id, placed_at) overriding system value
	        select 1000 * n, 1 + n % 1000, timestamptz '2011-01-01 00:00Z' + n * interval '1 minute' from generate_series(1, $1::int) as n`, orders)
	m.exec(`insert into order_lines (order_id, line_no, sku, quantity, unit_price) select 1000 * n, 1, 'S' || n % 5, 1, 1.50 from generate_series(1, $1::int) as n`, orders)
	m.exec(`insert into order_transitions (order_id, from_status, to_status, at) select 1000 * n, 'placed', 'processed', now() from generate_series(1, $1::int) as n`, orders)
}

func TestDocumentsForProgramsHaveOneSetOfColumns(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	for _, kind := range []string{"sales-summary", "jobs", "customers", "stock"} {
		doc := build(t, m.pool, kind, `{"from": "2010-12-01", "to": "2010-12-31"}`, everything, render.FormatCSV)
		for _, s := range doc.sections[1:] {
			if !slices.EqualFunc(s.Columns, doc.sections[0].Columns, func(a, b render.Column) bool { return a.Name == b.Name && a.Type == b.Type }) {
				t.Errorf("%s: section %s has other columns than %s", kind, s.Name, doc.sections[0].Name)
			}
		}
	}
}

// TestDocumentsComeInAllTheirFormats writes every document with data in every format it is offered in.
func TestDocumentsComeInAllTheirFormats(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.strayOrders(strayDrafts(rand.New(rand.NewPCG(6, 3)), 100))
	m.track("SKU1", 3, day(1, 1))
	at := time.Date(2011, 4, 1, 9, 0, 0, 0, time.UTC)
	m.insertJobs([]endedJob{{kind: "clean_up", state: "completed", scheduled: at, attempted: at, finalized: at}})
	for _, kind := range report.Types() {
		if kind.Export != nil {
			continue
		}
		for _, format := range kind.Formats {
			for _, year := range []string{"2011", "1999"} {
				src := &report.Source{DB: m.pool, Format: format, Watermark: everything, Made: made, Progress: rising(t, new(float64)),
					Params: complete(t, kind, fmt.Sprintf(`{"from": "%s-01-01", "to": "%s-12-31"}`, year, year))}
				doc, err := kind.Build(t.Context(), src)
				if err != nil {
					t.Fatalf("Build %s: %v", kind.Name, err)
				}
				var file strings.Builder
				rows, err := render.Write(&file, format, doc)
				if err != nil {
					t.Errorf("write %s of %s as %s: %v", kind.Name, year, format, err)
				}
				if rows == 0 && year == "2011" {
					t.Errorf("%s of %s as %s has no rows", kind.Name, year, format)
				}
				if file.Len() == 0 && format != render.FormatJSONL {
					t.Errorf("%s of %s as %s is empty", kind.Name, year, format)
				}
			}
		}
	}
}
