package order

import (
	"fmt"
	"math"
	"slices"
)

// decide sets what becomes of the order with stock as it stands now, which apply then changes.
func (c *candidate) decide(stock *stock) {
	c.short, c.reason = nil, c.impossible(stock)
	if c.reason != "" {
		c.status = StatusRejected
		return
	}
	if c.findShort(stock); len(c.short) > 0 {
		c.status = StatusAwaitingStock
		return
	}
	c.status = StatusProcessed
}

// findShort notes which products the order is short of with stock as it stands now.
func (c *candidate) findShort(stock *stock) {
	c.short = nil
	for _, net := range c.nets {
		if stock.onHand[net.sku]+net.quantity < 0 {
			c.short = append(c.short, shortage{net.sku, -net.quantity})
		}
	}
	if len(c.short) > 0 {
		c.reason = fmt.Sprintf("order %d waits for %d of sku %q", c.id, c.short[0].needed, c.short[0].sku)
	}
	if more := len(c.short) - 1; more > 0 {
		c.reason += fmt.Sprintf(" and %d more", more)
	}
}

// mayTry reports whether stock of a product that the order waits for suffices now.
func (c *candidate) mayTry(stock *stock) bool {
	return slices.ContainsFunc(c.short, func(s shortage) bool { return s.needed <= stock.onHand[s.sku] })
}

// impossible says why no wait could help the order, or nothing.
func (c *candidate) impossible(stock *stock) string {
	if !c.hasLines {
		return fmt.Sprintf("order %d has no lines", c.id)
	}
	if c.amount.Abs().GreaterThanOrEqual(totalLimit) {
		return fmt.Sprintf("order %d: its total %s is out of the ledger's range (below %s either way)", c.id, c.amount, totalLimit)
	}
	for _, s := range c.shares {
		if onHand := stock.onHand[s.sku]; s.reason == "write_off" && -s.quantity > onHand {
			return fmt.Sprintf("order %d: writes off %d of sku %q, of which %d are on hand", c.id, -s.quantity, s.sku, onHand)
		}
		if s.quantity < -math.MaxInt32 || s.quantity > math.MaxInt32 {
			return fmt.Sprintf("order %d: moves %d of sku %q, more than stock can hold (%d)", c.id, s.quantity, s.sku, math.MaxInt32)
		}
	}
	for _, net := range c.nets {
		if net.quantity < -math.MaxInt32 {
			return fmt.Sprintf("order %d: takes %d of sku %q, more than stock can hold (%d)", c.id, -net.quantity, net.sku, math.MaxInt32)
		}
		if onHand := stock.onHand[net.sku]; onHand+net.quantity > math.MaxInt32 {
			return fmt.Sprintf("order %d: gives back %d of sku %q to %d on hand, more than stock can hold (%d)", c.id, net.quantity, net.sku, onHand, math.MaxInt32)
		}
	}
	return ""
}
