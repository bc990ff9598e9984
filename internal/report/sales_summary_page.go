package report

import (
	"fmt"
	"slices"
	"strconv"

	"backoffice/internal/report/render"
)

// How much a chart shows without becoming unreadable.
const (
	chartCurrencies = 3  // of which currencies there are charts at most
	chartRanks      = 10 // lines of a ranking
	chartBars       = 24 // spans as bars; more are a line
)

// document writes the sums down. Programs get one table of a kind, in which a line says its currency. Readers
// get one currency after the other, so that every table has amounts of one kind and a line of totals.
func (s *sales) document(p *SalesSummaryParams, src *Source) *render.Document {
	currencies := s.total.currencies()
	if len(currencies) == 0 {
		currencies = []string{p.Currency} // zeros, of what was asked for
	}
	doc := &render.Document{Title: "Sales summary", Facts: p.facts(currencies), Made: src.Made}
	total := s.totalSection(p, currencies)
	switch {
	case forPrograms(src.Format):
		doc.Sections = append([]render.Section{total}, s.sections(p, currencies)...)
	case forReaders(src.Format):
		leaveOut(&total, "name", "description")
		doc.Sections = []render.Section{total}
		for _, currency := range currencies {
			doc.Sections = append(doc.Sections, s.sectionsToRead(p, currency, len(currencies) > 1)...)
		}
	default:
		leaveOut(&total, "name", "description")
		doc.Sections = append([]render.Section{total}, s.sections(p, currencies)...)
		leaveOut(&doc.Sections[2], "description")
	}
	return doc
}

// sections are the tables of some currencies, one currency after the other.
func (s *sales) sections(p *SalesSummaryParams, currencies []string) []render.Section {
	return []render.Section{s.spanSection(p, currencies), s.countrySection(currencies), s.productSection(p, currencies)}
}

// sectionsToRead are the tables of one currency, without what goes without saying.
func (s *sales) sectionsToRead(p *SalesSummaryParams, currency string, named bool) []render.Section {
	sections := s.sections(p, []string{currency})
	leaveOut(&sections[1], "description")
	if p.By != byWeek && !s.cut() {
		leaveOut(&sections[0], "description") // the names say it all
	}
	for i := range sections {
		leaveOut(&sections[i], "currency")
		if named {
			sections[i].Name += "_" + currency
			sections[i].Title += ", " + currency
		}
	}
	return sections
}

// cut says whether the period cuts a month or a week.
func (s *sales) cut() bool {
	return slices.ContainsFunc(s.spans, func(one span) bool { return countDays(one.first, one.last) < one.of })
}

// facts tell of the only currency even where nobody asked for it.
func (p *SalesSummaryParams) facts(currencies []string) []render.Fact {
	facts := []render.Fact{{Name: "Period", Value: p.Period.String()}, {Name: "Timezone", Value: p.Timezone}}
	if len(currencies) == 1 && currencies[0] != "" {
		facts = append(facts, render.Fact{Name: "Currency", Value: currencies[0]})
	}
	if p.Country != "" {
		facts = append(facts, render.Fact{Name: "Country", Value: p.Country})
	}
	return append(facts, render.Fact{Name: "Counted", Value: "processed orders, on the day they were placed"})
}

// salesColumns are the same in all sections; only what people call the first two differs.
func salesColumns(name, description string) []render.Column {
	return []render.Column{
		{Name: "name", Title: name},
		{Name: "description", Title: description, Width: 0.6},
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
	for _, currency := range s.charted(currencies) {
		section.Charts = append(section.Charts, s.spanChart(p.By, title, currency))
	}
	return section
}

// charted are those of some currencies that get charts.
func (s *sales) charted(currencies []string) []string {
	with := s.total.currencies()
	with = with[:min(chartCurrencies, len(with))]
	return slices.DeleteFunc(slices.Clone(currencies), func(currency string) bool { return !slices.Contains(with, currency) })
}

func (s *sales) spanChart(by, title, currency string) render.Chart {
	chart := render.Chart{Kind: render.BarChart, Title: "Sales and returns by " + by, XTitle: title, YTitle: "Amount, " + currency}
	sold, returned, net := render.Series{Name: "Sales"}, render.Series{Name: "Returns"}, render.Series{Name: "Net"}
	for _, span := range s.spans {
		f := s.bySpan.of(currency, span.name)
		chart.Labels = append(chart.Labels, span.name)
		sold.Values = append(sold.Values, f.sales.InexactFloat64())
		returned.Values = append(returned.Values, f.returns.InexactFloat64())
		net.Values = append(net.Values, f.net().InexactFloat64())
	}
	chart.Series = []render.Series{sold, returned}
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
	for _, currency := range s.charted(currencies) {
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
	section := render.Section{Name: "product", Title: "Best-selling products", Columns: salesColumns("Product", "Description")}
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
	for _, currency := range s.charted(currencies) {
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
