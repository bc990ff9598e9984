package order

import (
	"maps"
	"slices"
)

// stock is what the locked products hold while a set of orders is decided: as read, and as the orders
// decided so far leave it.
type stock struct {
	before map[string]int64
	onHand map[string]int64
}

func newStock() *stock {
	return &stock{before: map[string]int64{}, onHand: map[string]int64{}}
}

// begin notes a product as it was locked.
func (s *stock) begin(sku string, onHand int64) {
	s.before[sku], s.onHand[sku] = onHand, onHand
}

// apply takes and gives back the shares of an order, and reports whether any product now holds more.
func (s *stock) apply(c *candidate) (rose bool) {
	for _, net := range c.nets {
		s.onHand[net.sku] += net.quantity
		rose = rose || net.quantity > 0
	}
	return rose
}

// levels are what products hold, as two columns for unnest.
type levels struct {
	skus   []string
	onHand []int64
}

func (l *levels) add(sku string, onHand int64) {
	l.skus, l.onHand = append(l.skus, sku), append(l.onHand, onHand)
}

// changed answers, by sku, the products that hold another number than when they were locked, and
// those of them that hold more.
func (s *stock) changed() (all, risen levels) {
	for _, sku := range slices.Sorted(maps.Keys(s.onHand)) {
		if before, after := s.before[sku], s.onHand[sku]; after != before {
			all.add(sku, after)
			if after > before {
				risen.add(sku, after)
			}
		}
	}
	return all, risen
}
