package order

import (
	"strings"

	"github.com/shopspring/decimal"
)

// KindOf says what an imported document is: a credit when its number begins with creditPrefix (which
// may be empty: no credits), an adjustment when no line of it sells anything at a price, else a sale.
func KindOf(number, creditPrefix string, lines []Line) Kind {
	if creditPrefix != "" && strings.HasPrefix(number, creditPrefix) {
		return KindCredit
	}
	for _, l := range lines {
		if l.Quantity > 0 && l.UnitPrice.IsPositive() {
			return KindSale
		}
	}
	return KindAdjustment
}

// LineKindOf says what a line is from its quantity and price: a negative price adjusts the ledger, no
// price is a gift, or a write-off when the quantity is below zero outside a credit. All else is an item.
func LineKindOf(credit bool, quantity int, price decimal.Decimal) LineKind {
	switch {
	case price.IsNegative():
		return LineAdjustment
	case price.IsZero() && quantity > 0:
		return LineGift
	case price.IsZero() && quantity < 0 && !credit:
		return LineWriteOff
	default:
		return LineItem
	}
}
