package report_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"backoffice/internal/order"
)

// tally adds up drafts line by line, the long way; with a sku, only its lines.
func tally(drafts []order.Draft, sku string) (net decimal.Decimal, line string) {
	var orders, credits, units int64
	var sales, returns decimal.Decimal
	for _, d := range drafts {
		counts := sku == ""
		for _, l := range d.Lines {
			if l.Kind != order.LineItem && l.Kind != order.LineAdjustment || sku != "" && l.SKU != sku {
				continue
			}
			counts = true
			if l.Kind == order.LineItem {
				units += int64(l.Quantity)
			}
			switch amount := l.UnitPrice.Mul(decimal.NewFromInt(int64(l.Quantity))); {
			case amount.IsPositive():
				sales = sales.Add(amount)
			default:
				returns = returns.Add(amount)
			}
		}
		switch {
		case counts && d.Kind == order.KindSale:
			orders++
		case counts && d.Kind == order.KindCredit:
			credits++
		}
	}
	average := "-"
	if orders > 0 {
		average = sales.Div(decimal.NewFromInt(orders)).Round(2).String()
	}
	net = sales.Add(returns)
	return net, fmt.Sprintf("%d %d %d %s %s %s %s", orders, credits, units, sales, returns, net, average)
}

// ranking is the lines of groups of drafts, a currency after the other, the highest net first.
func ranking(groups map[string][]order.Draft, sku bool, most int) []string {
	type ranked struct {
		currency, name, line string
		net                  decimal.Decimal
	}
	var all []ranked
	for key, drafts := range groups {
		currency, name, _ := strings.Cut(key, " ")
		only := ""
		if sku {
			only = name
		}
		net, line := tally(drafts, only)
		all = append(all, ranked{currency, cmp.Or(name, "-"), line, net})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(strings.Compare(a.currency, b.currency), b.net.Cmp(a.net), strings.Compare(a.name, b.name))
	})
	var lines []string
	listed := map[string]int{}
	for _, r := range all {
		if listed[r.currency]++; listed[r.currency] <= most {
			lines = append(lines, r.name+" "+r.currency+" "+r.line)
		}
	}
	return lines
}

// group puts drafts under their keys.
func group(drafts []order.Draft, keys func(order.Draft) []string) map[string][]order.Draft {
	groups := map[string][]order.Draft{}
	for _, d := range drafts {
		for _, key := range keys(d) {
			groups[key] = append(groups[key], d)
		}
	}
	return groups
}

func skusOf(d order.Draft) []string {
	var skus []string
	for _, l := range d.Lines {
		if key := d.Currency + " " + l.SKU; (l.Kind == order.LineItem || l.Kind == order.LineAdjustment) && !slices.Contains(skus, key) {
			skus = append(skus, key)
		}
	}
	return skus
}

// spansOf are the lines of one currency, a name after the other, found by asking day after day.
func spansOf(drafts []order.Draft, currency, from, to string, zone *time.Location, by string) []string {
	name := func(day time.Time) string {
		switch by {
		case "week":
			year, week := day.ISOWeek()
			return fmt.Sprintf("%d-W%02d", year, week)
		case "month":
			return day.Format("2006-01")
		}
		return day.Format(time.DateOnly)
	}
	groups := group(drafts, func(d order.Draft) []string { return []string{name(d.PlacedAt.In(zone))} })
	var names, lines []string
	first, _ := time.Parse(time.DateOnly, from)
	for day := first; day.Format(time.DateOnly) <= to; day = day.AddDate(0, 0, 1) {
		if !slices.Contains(names, name(day)) {
			names = append(names, name(day))
		}
	}
	for _, n := range names {
		_, line := tally(groups[n], "")
		lines = append(lines, n+" "+currency+" "+line)
	}
	return lines
}

// lineOf is the line of a currency among the totals.
func lineOf(currency string) int { return map[string]int{"EUR": 0, "GBP": 1}[currency] }

func namesOf(doc built) (names []string) {
	for _, s := range doc.sections {
		names = append(names, s.Name)
	}
	return names
}
