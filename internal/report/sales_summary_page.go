package report

import (
	"fmt"
	"strconv"

	"backoffice/internal/report/render"
)

// How much a chart shows without becoming unreadable.
const (
	chartCurrencies = 3  // of which currencies there are charts at most
	chartRanks      = 10 // lines of a ranking
	chartBars       = 24 // spans as bars; more are a line
)

// document writes the sums down. With several currencies each table tells one after the other.
func (s *sales) document(p *SalesSummaryParams, src *Source) *render.Document {
	currencies := s.total.currencies()
	if len(currencies) == 0 {
		currencies = []string{p.Currency} // zeros, of what was asked for
	}
	sections := []render.Section{
		s.totalSection(p, currencies),
		s.spanSection(p, currencies),
		s.countrySection(currencies),
		s.productSection(p, currencies),
	}
	if !forPrograms(src.Format) {
		leaveOut(&sections[0], "name", "description")
		leaveOut(&sections[2], "description")
	}
	return &render.Document{Title: "Sales summary", Facts: p.facts(), Sections: sections, Made: src.Made}
}

func (p *SalesSummaryParams) facts() []render.Fact {
	facts := []render.Fact{{Name: "Period", Value: p.Period.String()}, {Name: "Timezone", Value: p.Timezone}}
	if p.Currency != "" {
		facts = append(facts, render.Fact{Name: "Currency", Value: p.Currency})
	}
	if p.Country != "" {
		facts = append(facts, render.Fact{Name: "Country", Value: p.Country})
	}
	return append(facts, render.Fact{Name: "Counted", Value: "processed orders, on the day they were placed"})
}

// salesColumns are the same in all sections; only what people call the first two differs.
func salesColumns(name, description string) []render.Column {
	return []render.Column{
		{Name: "name", Title: name, Width: 1.2},
		{Name: "description", Title: description, Width: 1.8},
		{Name: "currency", Width: 0.6},
		{Name: "orders", Type: render.Integer},
		{Name: "credits", Type: render.Integer},
		{Name: "units", Type: render.Integer},
		{Name: "sales", Type: render.Money},
		{Name: "returns", Type: render.Money},
		{Name: "net", Type: render.Money},
		{Name: "average_order_value", Title: "Average order", Type: render.Money},
	}
}

func (f *figures) row(name, description, currency string) []any {
	return []any{textOrNil(name), textOrNil(description), textOrNil(currency), f.orders, f.credits, f.units, f.sales, f.returns, f.net(), f.average()}
}

func textOrNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (s *sales) totalSection(p *SalesSummaryParams, currencies []string) render.Section {
	section := render.Section{Name: "total", Title: "Total", Columns: salesColumns("", "Days"),
		Note: "Sales are amounts above zero, returns those below, net is both together; the average order is sales by orders."}
	if len(s.total) == 0 {
		section.Note = "No order that was placed in this period has been processed."
	}
	var rows [][]any
	for _, currency := range currencies {
		rows = append(rows, s.total.of(currency, "").row("total", p.Period.String(), currency))
	}
	section.Rows = render.Rows(rows)
	return section
}

// totals is the last line of a table whose lines add up to it, where there is one currency.
func (s *sales) totals(currencies []string) []any {
	if len(currencies) != 1 {
		return nil
	}
	return s.total.of(currencies[0], "").row("Total", "", currencies[0])
}

// spanSection has a line for every span, zeros included.
func (s *sales) spanSection(p *SalesSummaryParams, currencies []string) render.Section {
	title := map[string]string{byDay: "Day", byWeek: "Week", byMonth: "Month"}[p.By]
	section := render.Section{Name: "period", Title: "By " + p.By, Columns: salesColumns(title, "Days"), Totals: s.totals(currencies)}
	var rows [][]any
	for _, currency := range currencies {
		for _, span := range s.spans {
			rows = append(rows, s.bySpan.of(currency, span.name).row(span.name, span.String(), currency))
		}
	}
	section.Rows = render.Rows(rows)
	for _, currency := range s.charted() {
		section.Charts = append(section.Charts, s.spanChart(p.By, title, currency))
	}
	return section
}

// charted are the currencies that get charts.
func (s *sales) charted() []string {
	currencies := s.total.currencies()
	return currencies[:min(chartCurrencies, len(currencies))]
}

func (s *sales) spanChart(by, title, currency string) render.Chart {
	chart := render.Chart{Kind: render.BarChart, Title: "Sales and returns by " + by, XTitle: title, YTitle: "Amount, " + currency}
	sales, returns, net := render.Series{Name: "Sales"}, render.Series{Name: "Returns"}, render.Series{Name: "Net"}
	for _, span := range s.spans {
		f := s.bySpan.of(currency, span.name)
		chart.Labels = append(chart.Labels, span.name)
		sales.Values = append(sales.Values, f.sales.InexactFloat64())
		returns.Values = append(returns.Values, f.returns.InexactFloat64())
		net.Values = append(net.Values, f.net().InexactFloat64())
	}
	chart.Series = []render.Series{sales, returns}
	if len(s.spans) > chartBars {
		chart.Kind, chart.Title, chart.Series = render.LineChart, "Net sales by "+by, []render.Series{net}
	}
	return chart
}

func (s *sales) countrySection(currencies []string) render.Section {
	section := render.Section{Name: "country", Title: "By country", Columns: salesColumns("Country", ""), Totals: s.totals(currencies)}
	var rows [][]any
	for _, currency := range currencies {
		for _, country := range s.byCountry.ranked(currency) {
			rows = append(rows, s.byCountry.of(currency, country).row(country, "", currency))
		}
	}
	section.Rows = render.Rows(rows)
	for _, currency := range s.charted() {
		section.Charts = append(section.Charts, rankChart("Countries with the highest net", "Country", currency, s.byCountry, func(country string) string {
			if country == "" {
				return "(none)"
			}
			return country
		}))
	}
	return section
}

func (s *sales) productSection(p *SalesSummaryParams, currencies []string) render.Section {
	section := render.Section{Name: "product", Title: "Best products", Columns: salesColumns("Product", "Description")}
	var rows [][]any
	sold := 0
	for _, currency := range currencies {
		ranked := s.byProduct.ranked(currency)
		sold += len(ranked)
		for _, sku := range ranked[:min(p.Top, len(ranked))] {
			rows = append(rows, s.byProduct.of(currency, sku).row(sku, s.descriptions[sku], currency))
		}
	}
	section.Rows = render.Rows(rows)
	section.Note = fmt.Sprintf("%s by net, of %s; an order counts for each product in it.", counted(len(rows), "product"), counted(sold, "product"))
	for _, currency := range s.charted() {
		section.Charts = append(section.Charts, rankChart("Products with the highest net", "Product", currency, s.byProduct, func(sku string) string {
			if description := s.descriptions[sku]; description != "" {
				return description
			}
			return sku
		}))
	}
	return section
}

// rankChart draws the net of the first lines of a ranking.
func rankChart(title, names, currency string, lines sums, label func(name string) string) render.Chart {
	chart := render.Chart{Kind: render.RankChart, Title: title, XTitle: names, YTitle: "Net, " + currency}
	net := render.Series{Name: "Net"}
	ranked := lines.ranked(currency)
	for _, name := range ranked[:min(chartRanks, len(ranked))] {
		chart.Labels = append(chart.Labels, label(name))
		net.Values = append(net.Values, lines.of(currency, name).net().InexactFloat64())
	}
	chart.Series = []render.Series{net}
	return chart
}

// counted writes a number of things: 1 product, 3,514 products.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return grouped(n) + " " + thing
}

// grouped writes a number of at least zero with commas between its thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
