package report

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"backoffice/internal/report/render"
)

// mostCustomers is how many customers people are shown; the rest is in the formats for programs.
const mostCustomers = 50

// document writes segments and customers down. Programs get the customers alone: a line of csv is one
// customer, and segments are a group by away. Readers get one currency after the other.
func (b *buyers) document(ctx context.Context, p *CustomersParams, src *Source) *render.Document {
	doc := &render.Document{Title: "Customers", Facts: b.facts(p), Made: src.Made}
	switch {
	case forPrograms(src.Format):
		doc.Sections = []render.Section{b.customerSection(ctx, src, b.all, 0)}
	case forReaders(src.Format) && len(b.all) > 0:
		before := 0
		for of := range b.byCurrency() {
			doc.Sections = append(doc.Sections, b.sectionsToRead(ctx, src, of, before)...)
			before += len(of)
		}
	default:
		doc.Sections = []render.Section{b.segmentSection(b.all), b.customerSection(ctx, src, b.all, 0)}
	}
	return doc
}

// sectionsToRead are the tables of one currency, without what goes without saying. Number and name of a
// customer are one.
func (b *buyers) sectionsToRead(ctx context.Context, src *Source, of []buyer, before int) []render.Section {
	sections := []render.Section{b.segmentSection(of), b.customerSection(ctx, src, of, before)}
	leaveOut(&sections[0], "currency")
	leaveOut(&sections[1], "currency", "name")
	if currency := b.currencies[of[0].currency]; len(b.currencies) > 1 {
		for i := range sections {
			sections[i].Name += "_" + currency
			sections[i].Title += ", " + currency
		}
	}
	return sections
}

// facts tell of the only currency even where nobody asked for it.
func (b *buyers) facts(p *CustomersParams) []render.Fact {
	facts := []render.Fact{{Name: "Period", Value: p.Period.String()}, {Name: "Timezone", Value: p.Timezone}}
	currency := p.Currency
	if len(b.currencies) == 1 {
		currency = b.currencies[0]
	}
	if currency != "" {
		facts = append(facts, render.Fact{Name: "Currency", Value: currency})
	}
	return append(facts,
		render.Fact{Name: "Counted", Value: "processed orders that name a customer, on the day they were placed"},
		render.Fact{Name: "Scores", Value: "from 1 to 5 for recency (days since the last order), frequency (orders) and monetary (net): 1 plus five times the share of customers that did worse, rounded down"},
		render.Fact{Name: "Value", Value: "the mean of frequency and monetary, rounded down"})
}

// segmentSum is what the customers of one segment come to.
type segmentSum struct {
	customers, orders int64
	net               decimal.Decimal
}

func (s *segmentSum) add(b buyer) {
	s.customers++
	s.orders += int64(b.orders)
	s.net = s.net.Add(b.amount())
}

// amount is the net of a customer.
func (b buyer) amount() decimal.Decimal { return decimal.New(b.net, -4) }

// bySegment sums up customers of one currency, by segment and in all.
func bySegment(of []buyer) (sums [len(segments)]segmentSum, all segmentSum) {
	for _, b := range of {
		sums[b.segment].add(b)
		all.add(b)
	}
	return sums, all
}

// segmentSection lists the segments of each currency among some customers.
func (b *buyers) segmentSection(some []buyer) render.Section {
	section := render.Section{Name: "segment", Title: "Segments",
		Columns: []render.Column{
			{Name: "segment"},
			{Name: "meaning"},
			{Name: "currency", Width: 0.6},
			{Name: "customers", Type: render.Integer},
			{Name: "share_of_customers", Title: "Share", Type: render.Ratio},
			{Name: "orders", Type: render.Integer},
			{Name: "net", Type: render.Money},
			{Name: "share_of_net", Title: "Share of net", Type: render.Ratio},
		},
	}
	if len(some) == 0 {
		section.Note = "No customer has a processed order that was placed in this period."
	}
	var rows [][]any
	currencies := 0
	for of := range eachCurrency(some) {
		currency := b.currencies[of[0].currency]
		sums, all := bySegment(of)
		for i, sum := range sums {
			rows = append(rows, []any{segments[i].name, segments[i].meaning + " (" + segments[i].rule + ")", currency,
				sum.customers, share(decimal.NewFromInt(sum.customers), decimal.NewFromInt(all.customers)), sum.orders, sum.net, share(sum.net, all.net)})
		}
		if int(of[0].currency) < chartCurrencies {
			section.Charts = append(section.Charts, segmentCharts(currency, sums)...)
		}
		currencies++
		section.Totals = []any{"Total", nil, currency, all.customers, nil, all.orders, all.net, nil}
	}
	if currencies != 1 {
		section.Totals = nil
	}
	section.Rows = render.Rows(rows)
	return section
}

// share is a part of a whole, nil where the whole is not above zero.
func share(part, whole decimal.Decimal) any {
	if !whole.IsPositive() {
		return nil
	}
	return part.DivRound(whole, 6)
}

func segmentCharts(currency string, sums [len(segments)]segmentSum) []render.Chart {
	count, net := render.Series{Name: "Customers"}, render.Series{Name: "Net"}
	labels := make([]string, len(segments))
	for i, sum := range sums {
		labels[i] = segments[i].name
		count.Values = append(count.Values, float64(sum.customers))
		net.Values = append(net.Values, sum.net.InexactFloat64())
	}
	return []render.Chart{
		{Kind: render.RankChart, Title: "Customers by segment", XTitle: "Segment", YTitle: "Customers", Labels: labels, Series: []render.Series{count}},
		{Kind: render.RankChart, Title: "Net by segment", XTitle: "Segment", YTitle: "Net, " + currency, Labels: labels, Series: []render.Series{net}},
	}
}

// customerSection lists some of the customers, after so many others.
func (b *buyers) customerSection(ctx context.Context, src *Source, some []buyer, before int) render.Section {
	return render.Section{Name: "customer", Title: "Customers by net", Most: mostCustomers,
		Columns: []render.Column{
			{Name: "customer"},
			{Name: "name", Width: 1.4},
			{Name: "segment", Width: 1.1},
			{Name: "currency", Width: 0.6},
			{Name: "last_order", Title: "Last order", Type: render.Date},
			{Name: "recency_days", Title: "Days since", Type: render.Integer},
			{Name: "orders", Type: render.Integer},
			{Name: "net", Type: render.Money},
			{Name: "recency_score", Title: "Recency", Type: render.Integer},
			{Name: "frequency_score", Title: "Frequency", Type: render.Integer},
			{Name: "monetary_score", Title: "Monetary", Type: render.Integer},
		},
		Rows: b.rows(ctx, src, some, before),
	}
}

// namedAtOnce is how many customers one query names.
const namedAtOnce = 1000

// rows are the customers, named some at a time as they are written. It is the second half of the work.
func (b *buyers) rows(ctx context.Context, src *Source, all []buyer, before int) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		done := before
		for some := range slices.Chunk(all, namedAtOnce) {
			names, err := nameBuyers(ctx, src.DB, some)
			if err != nil {
				yield(nil, fmt.Errorf("name customers: %w", err))
				return
			}
			for _, one := range some {
				named := names[one.customer]
				if forReaders(src.Format) { // who see one column
					named.Number = strings.TrimSpace(named.Number + " " + named.Name)
				}
				if !yield(b.row(one, named), nil) {
					return
				}
			}
			done += len(some)
			src.Progress((1+float64(done)/float64(len(b.all)))/2, int64(done))
		}
	}
}

func (b *buyers) row(one buyer, names customerNames) []any {
	row := []any{textOrNil(names.Number), textOrNil(names.Name), segments[one.segment].name, b.currencies[one.currency],
		nil, nil, int64(one.orders), one.amount(), nil, nil, nil}
	if one.orders > 0 {
		row[4] = render.DayOf(b.until.AddDate(0, 0, -int(one.days)))
		row[5] = int64(one.days)
		row[8], row[9], row[10] = int64(one.recency), int64(one.frequency), int64(one.monetary)
	}
	return row
}
