package report

import (
	"cmp"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// figures are what one line of a sales summary adds up.
type figures struct {
	orders, credits, units int64
	sales, returns         decimal.Decimal // returns are zero or below
}

func (f *figures) add(more figures) {
	f.orders += more.orders
	f.credits += more.credits
	f.units += more.units
	f.sales = f.sales.Add(more.sales)
	f.returns = f.returns.Add(more.returns)
}

func (f *figures) net() decimal.Decimal { return f.sales.Add(f.returns) }

// average is the average order value, to the hundredth; nil without orders.
func (f *figures) average() any {
	if f.orders == 0 {
		return nil
	}
	return f.sales.DivRound(decimal.NewFromInt(f.orders), 2)
}

// line is what figures are of: a country, a product, a span of the period; in one currency.
type line struct {
	currency, name string
}

// sums are figures by line.
type sums map[line]*figures

func (s sums) add(l line, more figures) {
	if s[l] == nil {
		s[l] = &figures{}
	}
	s[l].add(more)
}

// of answers the figures of a line, all zero where nothing was added.
func (s sums) of(currency, name string) *figures {
	if f := s[line{currency, name}]; f != nil {
		return f
	}
	return &figures{}
}

// ranked are the names of a currency's lines, those with the highest net first.
func (s sums) ranked(currency string) []string {
	var names []string
	for l := range s {
		if l.currency == currency {
			names = append(names, l.name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(s.of(currency, b).net().Cmp(s.of(currency, a).net()), cmp.Compare(a, b))
	})
	return names
}

// currencies are those of any line, by their letters.
func (s sums) currencies() []string {
	found := map[string]bool{}
	for l := range s {
		found[l.currency] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// sales are the sums of one sales summary.
type sales struct {
	spans        []span
	total        sums // with an empty name
	bySpan       sums // by the name of the span
	byCountry    sums // empty: orders without a country
	byProduct    sums // by sku
	descriptions map[string]string
}
