package report

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// segment is a group of customers to be treated alike.
type segment uint8

// segments are named by how recent a customer is (rows) and by how often and for how much one buys (columns).
var segments = [...]struct{ name, rule, meaning string }{
	{"champions", "recency 4-5, value 4-5", "bought lately, often and for much"},
	{"promising", "recency 4-5, value 2-3", "bought lately, could buy more"},
	{"new", "recency 4-5, value 1", "bought lately, once or for little"},
	{"loyal", "recency 3, value 4-5", "buys often and for much"},
	{"needs attention", "recency 3, value 2-3", "neither recent nor lost"},
	{"about to sleep", "recency 3, value 1", "bought little, some time ago"},
	{"at risk", "recency 1-2, value 4-5", "bought often and for much, not lately"},
	{"hibernating", "recency 1-2, value 2-3", "bought some, long ago"},
	{"lost", "recency 1-2, value 1", "bought little, long ago"},
	{"returns only", "no order in the period", "gave back what was bought before"},
}

const returnsOnly = segment(len(segments) - 1)

// segmentOf is the segment of scores. Value is the mean of frequency and monetary, rounded down.
func segmentOf(recency, frequency, monetary uint8) segment {
	third := func(score uint8) segment { // 0: 4 to 5, 1: middle, 2: lowest
		switch {
		case score >= 4:
			return 0
		case score >= 2:
			return 1
		}
		return 2
	}
	row := segment(2)
	switch {
	case recency >= 4:
		row = 0
	case recency == 3:
		row = 1
	}
	return 3*row + third((frequency+monetary)/2)
}

// score gives everybody scores and a segment, and sorts them by currency, the highest net first.
func (b *buyers) score() {
	slices.SortFunc(b.all, func(x, y buyer) int {
		return cmp.Or(strings.Compare(b.currencies[x.currency], b.currencies[y.currency]), cmp.Compare(y.net, x.net), cmp.Compare(x.customer, y.customer))
	})
	for of := range b.byCurrency() {
		scoreAgainstEachOther(of)
	}
}

// byCurrency are the customers of each currency, one currency after the other.
func (b *buyers) byCurrency() iter.Seq[[]buyer] { return eachCurrency(b.all) }

// eachCurrency cuts sorted customers where the currency changes.
func eachCurrency(rest []buyer) iter.Seq[[]buyer] {
	return func(yield func([]buyer) bool) {
		for len(rest) > 0 {
			end := slices.IndexFunc(rest, func(x buyer) bool { return x.currency != rest[0].currency })
			if end < 0 {
				end = len(rest)
			}
			if !yield(rest[:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// scoreAgainstEachOther scores the customers of one currency.
func scoreAgainstEachOther(all []buyer) {
	recency := newScale(all, func(b buyer) int64 { return -int64(b.days) })
	frequency := newScale(all, func(b buyer) int64 { return int64(b.orders) })
	monetary := newScale(all, func(b buyer) int64 { return b.net })
	for i := range all {
		b := &all[i]
		if b.orders == 0 {
			b.segment = returnsOnly
			continue
		}
		b.recency, b.frequency, b.monetary = recency.score(*b), frequency.score(*b), monetary.score(*b)
		b.segment = segmentOf(b.recency, b.frequency, b.monetary)
	}
}

// scale is one measure of all customers with orders, sorted; higher is better.
type scale struct {
	measure func(buyer) int64
	values  []int64
}

func newScale(all []buyer, measure func(buyer) int64) scale {
	s := scale{measure: measure, values: make([]int64, 0, len(all))}
	for _, b := range all {
		if b.orders > 0 {
			s.values = append(s.values, measure(b))
		}
	}
	slices.Sort(s.values)
	return s
}

// score is 1 to 5: 1 plus five times the share that did worse, rounded down.
func (s scale) score(b buyer) uint8 {
	worse, _ := slices.BinarySearch(s.values, s.measure(b))
	return uint8(1 + 5*worse/len(s.values))
}
