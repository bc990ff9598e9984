package order

import (
	"maps"
	"slices"
)

// stock is what tracked products hold while a set of orders is decided: as read, and as the orders
// decided so far leave it.
type stock struct {
	before map[string]int64
	onHand map[string]int64
	taken  map[string]int64 // by orders that took, whatever others gave back
}

func newStock() *stock {
	return &stock{before: map[string]int64{}, onHand: map[string]int64{}, taken: map[string]int64{}}
}

// begin notes a product as it was read.
func (s *stock) begin(sku string, onHand int64) {
	s.before[sku], s.onHand[sku] = onHand, onHand
}

// apply takes and gives back the shares of an order, and reports whether any product now holds more.
func (s *stock) apply(c *candidate) (rose bool) {
	for _, net := range c.nets {
		s.onHand[net.sku] += net.quantity
		s.taken[net.sku] -= min(net.quantity, 0)
		rose = rose || net.quantity > 0
	}
	return rose
}

// changes is by how much products change, by sku, as columns for unnest.
type changes struct {
	skus        []string
	differences []int64
	taken       []int64
	risen       []string // those of the skus that hold more afterwards
}

// changes answers the products that hold another number than when they were read, and those of which as
// much was taken as given back.
func (s *stock) changes() changes {
	var all changes
	for _, sku := range slices.Sorted(maps.Keys(s.onHand)) {
		difference := s.onHand[sku] - s.before[sku]
		if difference == 0 && s.taken[sku] == 0 {
			continue
		}
		all.skus = append(all.skus, sku)
		all.differences, all.taken = append(all.differences, difference), append(all.taken, s.taken[sku])
		if difference > 0 {
			all.risen = append(all.risen, sku)
		}
	}
	return all
}
