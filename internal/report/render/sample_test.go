package render_test

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"backoffice/internal/report/render"
)

var (
	made    = time.Date(2011, time.June, 1, 4, 15, 27, 0, time.UTC)
	formats = []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX, render.FormatPDF, render.FormatHTML}
)

func amount(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// written is the document in a format, which must succeed.
func written(t testing.TB, format render.Format, doc *render.Document) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := render.Write(&out, format, doc); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return out.Bytes()
}

// single is a document of one section.
func single(columns []render.Column, rows ...[]any) *render.Document {
	return &render.Document{Title: "One", Made: made, Sections: []render.Section{{Name: "rows", Columns: columns, Rows: render.Rows(rows)}}}
}

// salesSummary has the real figures of the sample shop, and names that are hard to write.
func salesSummary() *render.Document {
	months := []string{"2010-12", "2011-01", "2011-02", "2011-03", "2011-04", "2011-05"}
	sales := []string{"748957.02", "560000.26", "498062.65", "683267.08", "493207.121", "723333.51"}
	returns := []string{"-74789.12", "-131363.05", "-25569.24", "-34372.28", "-44601.5", "-47202.51"}
	columns := []render.Column{
		{Name: "key", Title: "Month", Type: render.Text},
		{Name: "orders", Title: "Orders", Type: render.Integer},
		{Name: "units", Title: "Units", Type: render.Integer},
		{Name: "returns", Title: "Returns, GBP", Type: render.Money},
		{Name: "net", Title: "Net sales, GBP", Type: render.Money},
		{Name: "average", Title: "Average order, GBP", Type: render.Money},
		{Name: "share", Title: "Share of net sales", Type: render.Ratio},
	}
	total := amount("3706827.641")
	line := func(key string, orders int64, returned, net string) []any {
		n := amount(net)
		return []any{key, orders, orders * 163, amount(returned), n, n.Div(decimal.NewFromInt(orders)).Round(2), n.Div(total).InexactFloat64()}
	}
	var byMonth [][]any
	drawn := [][]float64{nil, nil}
	for i, month := range months {
		byMonth = append(byMonth, line(month, int64(1400+i*77), returns[i], sales[i]))
		drawn[0] = append(drawn[0], amount(sales[i]).InexactFloat64())
		drawn[1] = append(drawn[1], amount(returns[i]).InexactFloat64())
	}
	countries := []string{"United Kingdom", "Netherlands", "Germany", "EIRE", "France", "Australia", "Côte d’Ivoire", "Österreich", "Great Britain and Northern Ireland, with all of its islands"}
	figures := []string{"3117720.121", "112906.68", "91688.25", "84635.69", "71756.53", "55667.48", "1204.2", "812.5", "0.001"}
	var byCountry [][]any
	var ranked []float64
	for i, country := range countries {
		byCountry = append(byCountry, line(country, int64(9000/(i*i+1)+1), "-12.5", figures[i]))
		ranked = append(ranked, amount(figures[i]).InexactFloat64())
	}
	under := func(title string) []render.Column {
		return append([]render.Column{{Name: "key", Title: title, Type: render.Text}}, columns[1:]...)
	}
	totals := []any{"Total", int64(9555), int64(1557465), amount("-357897.70"), total, amount("387.95"), 1.0}
	return &render.Document{
		Title: "Sales summary", Made: made,
		Facts: []render.Fact{
			{Name: "Period", Value: "1 Dec 2010 to 31 May 2011, Europe/London"}, {Name: "By", Value: "Month"},
			{Name: "Shop", Value: "Müller & Söhne Café £€"}, {Name: "Currency", Value: "GBP"},
		},
		Sections: []render.Section{
			{
				Name: "period", Title: "By month", Columns: columns, Rows: render.Rows(byMonth), Totals: totals,
				Charts: []render.Chart{{Kind: render.LineChart, Title: "Net sales and returns by month", YTitle: "GBP", XTitle: "Month", Labels: months,
					Series: []render.Series{{Name: "Net sales", Values: drawn[0]}, {Name: "Returns", Values: drawn[1]}}}},
			},
			{
				Name: "country", Title: "By country", Columns: under("Country"), Rows: render.Rows(byCountry), Totals: totals,
				Note: "An order counts for the country it was sent to, which need not be the customer's own.",
				Charts: []render.Chart{{Kind: render.RankChart, Title: "Net sales by country", XTitle: "Country", YTitle: "Net sales, GBP", Labels: countries,
					Series: []render.Series{{Name: "Net sales", Values: ranked}}}},
			},
			{Name: "returned", Title: "Products returned most", Columns: under("Product"), Rows: render.Rows(nil)},
		},
	}
}

// customers is long, and shows a part of itself to people.
func customers() *render.Document {
	columns := []render.Column{
		{Name: "number", Title: "Number", Type: render.Text}, {Name: "name", Title: "Name", Type: render.Text},
		{Name: "segment", Title: "Segment", Type: render.Text}, {Name: "last_order", Title: "Last order", Type: render.Date},
		{Name: "seen_at", Title: "Seen", Type: render.Instant}, {Name: "orders", Title: "Orders", Type: render.Integer},
		{Name: "net", Title: "Net sales, GBP", Type: render.Money}, {Name: "margin", Title: "Margin", Type: render.Ratio},
		{Name: "answer", Title: "Median time to answer", Type: render.Seconds},
	}
	names := []string{"Jürgen Weiß", "Café Zoë", "Łukasz Żółć", "株式会社サンプル", "Ελένη Παπαδοπούλου", "Анна Каренина", "The very long name of a limited company that trades under another name & Sons (Holdings) Ltd.", "O’Brien £ € “quoted”", "=cmd|' /C calc'!A0"}
	segments := []string{"Champions", "Loyal", "At risk", "Lost"}
	rows := func(yield func([]any, error) bool) {
		for i := range 260 {
			row := []any{fmt.Sprintf("C-%05d", i), names[i%len(names)], segments[i%4], render.DayOf(made.AddDate(0, 0, -i)), made.Add(-time.Duration(i) * 3611 * time.Second),
				int64(260 - i), amount(fmt.Sprintf("%d.%02d", 41000-i*157, i%100)), float64(i%37) / 100, decimal.New(int64(i*i*i), -3)}
			if i%11 == 3 {
				row[1], row[7], row[6] = nil, nil, amount("-12.5")
			}
			if !yield(row, nil) {
				return
			}
		}
	}
	return &render.Document{
		Title: "Customers", Made: made,
		Facts: []render.Fact{{Name: "Reference day", Value: "31 May 2011"}, {Name: "Segments", Value: "Recency, frequency and money in quintiles; a champion is in the best fifth of all three, a lost customer in the worst of the first two"}},
		Sections: []render.Section{{
			Name: "customers", Columns: columns, Rows: rows, Most: 120,
			Totals: []any{"All", nil, nil, nil, nil, int64(33930), amount("4928131.05"), 0.18, nil},
			Charts: []render.Chart{
				{Kind: render.BarChart, Title: "Customers by segment and quarter", YTitle: "Customers", XTitle: "Segment", Labels: append(segments, "Promising newcomers", "Cannot lose them", "About to sleep", "Hibernating"),
					Series: []render.Series{{Name: "First quarter", Values: []float64{120, 340, 81, 33, 42, 12, 91, 201}}, {Name: "Second quarter", Values: []float64{141, 320, 99, 47, 38, 9, 120, 260}}}},
				{Kind: render.LineChart, Title: "Active customers by day", YTitle: "Customers", XTitle: "Day", Labels: days(366), Series: []render.Series{{Name: "Active", Values: waves(366, 900, 120)}}},
			},
		}},
	}
}

func days(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = time.Date(2010, time.December, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i).Format(time.DateOnly)
	}
	return labels
}

func waves(n int, base, height float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = base + height*math.Sin(float64(i)/9) + float64(i*7%13)*height/40
	}
	return values
}

// everyChart shows the shapes that charts must survive.
func everyChart() *render.Document {
	long := strings.Repeat("A category with quite a long name ", 3)
	one := func(values ...float64) []render.Series { return []render.Series{{Name: "Values", Values: values}} }
	var many []render.Series
	for i := range 6 {
		many = append(many, render.Series{Name: fmt.Sprintf("process_order_%d", i+1), Values: waves(31, 100*float64(i+1), 20)})
	}
	zeros := make([]float64, 12)
	charts := []render.Chart{
		{Kind: render.LineChart, Title: "One point", YTitle: "Orders", Labels: days(1), Series: one(42)},
		{Kind: render.LineChart, Title: "31 points, six series", YTitle: "Seconds", XTitle: "Day", Labels: days(31), Series: many},
		{Kind: render.BarChart, Title: "31 days", YTitle: "Orders", Labels: days(31), Series: one(waves(31, 50, 60)...)},
		{Kind: render.BarChart, Title: "366 days", YTitle: "Orders", Labels: days(366), Series: one(waves(366, 50, 60)...)},
		{Kind: render.BarChart, Title: "One bar", YTitle: "Orders", Labels: []string{"Only"}, Series: one(3)},
		{Kind: render.LineChart, Title: "All zeros", YTitle: "Orders", Labels: days(12), Series: one(zeros...)},
		{Kind: render.LineChart, Title: "Huge", YTitle: "GBP", Labels: days(6), Series: one(1e20, 3e20, 2e20, -1e20, 5e20, 4e20)},
		{Kind: render.LineChart, Title: "Thousands of millions", YTitle: "GBP", Labels: days(6), Series: one(1.2e10, 3e10, 2e10, 1e10, 5e10, 4e10)},
		{Kind: render.LineChart, Title: "Tiny", YTitle: "Seconds", Labels: days(6), Series: one(0.0001, 0.0004, 0.0002, 0.0003, 0.0004, 0.00025)},
		{Kind: render.BarChart, Title: "Long names", YTitle: "Orders", Labels: []string{long + "1", long + "2", "short", "United Kingdom", "Netherlands", "Germany"}, Series: one(1, 2, 3, 4, 5, 6)},
		{Kind: render.BarChart, Title: "40 names", YTitle: "Orders", Labels: strings.Fields(strings.Repeat("Afghanistan Netherlands Türkiye Österreich ", 10)), Series: one(waves(40, 50, 30)...)},
		{Kind: render.RankChart, Title: "Ranks with values below zero", XTitle: "Country", YTitle: "GBP", Labels: []string{"United Kingdom", long, "Lost"}, Series: one(1200000, 340000.5, -250000)},
		{Kind: render.RankChart, Title: "45 ranks", XTitle: "Product", YTitle: "GBP", Labels: days(45), Series: one(waves(45, 900, 100)...)},
		{Kind: render.RankChart, Title: "Two series", XTitle: "Kind", YTitle: "Seconds", Labels: []string{"process_order", "generate_report"}, Series: []render.Series{{Name: "Wait, p95", Values: []float64{0.12, 1.5}}, {Name: "Run, p95", Values: []float64{0.02, 12.75}}}},
		{Kind: render.RankChart, Title: "Ranks to the end of the axis", YTitle: "GBP", Labels: []string{"a", "b", "c"}, Series: one(1_000_000, 500_000, -1_000_000)},
		{Kind: render.LineChart, Title: "Nothing", YTitle: "GBP"},
	}
	return &render.Document{Title: "Every chart", Made: made, Sections: []render.Section{{Name: "charts", Columns: []render.Column{{Name: "n", Type: render.Integer}}, Rows: render.Rows([][]any{{int64(1)}}), Charts: charts}}}
}

// broad has too many columns for a page that stands.
func broad() *render.Document {
	columns := []render.Column{{Name: "placed_at", Type: render.Instant}, {Name: "description", Type: render.Text}, {Name: "note", Type: render.Text}}
	row := []any{made, "WHITE HANGING HEART T-LIGHT HOLDER, with all its parts and a description that goes on", strings.Repeat("unbroken", 12)}
	for i := range 11 {
		columns = append(columns, render.Column{Name: fmt.Sprintf("amount_of_month_%d", i+1), Type: render.Money})
		row = append(row, amount("1234567.891").Mul(decimal.NewFromInt(int64(i))))
	}
	var rows [][]any
	for range 90 {
		rows = append(rows, row)
	}
	return single(columns, rows...)
}

var samples = map[string]func() *render.Document{"sales-summary": salesSummary, "customers": customers, "charts": everyChart, "broad": broad}

// TestSamples writes every sample in every format; with TEST_SCREENSHOTS=DIR it leaves them there, for
// people to look at.
func TestSamples(t *testing.T) {
	t.Parallel()
	for name, sample := range samples {
		for _, format := range formats {
			t.Run(name+format.Extension(), func(t *testing.T) {
				t.Parallel()
				content := written(t, format, sample())
				if dir := os.Getenv("TEST_SCREENSHOTS"); dir != "" {
					if err := os.WriteFile(filepath.Join(dir, name+format.Extension()), content, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func TestTheSameDocumentGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, sample := range samples {
		for _, format := range formats {
			t.Run(name+format.Extension(), func(t *testing.T) {
				t.Parallel()
				if first, second := written(t, format, sample()), written(t, format, sample()); !bytes.Equal(first, second) {
					t.Errorf("%d bytes and %d bytes differ", len(first), len(second))
				}
			})
		}
	}
}

// failing gives so many rows and then an error.
func failing(rows int, row []any, err error) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for range rows {
			if !yield(row, nil) {
				return
			}
		}
		yield(nil, err)
	}
}
