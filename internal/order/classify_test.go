package order_test

import (
	"testing"

	"github.com/shopspring/decimal"

	"backoffice/internal/order"
)

func TestLineKindOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		credit   bool
		quantity int
		price    string
		want     order.LineKind
	}{
		{"a priced quantity is an item", false, 6, "2.55", order.LineItem},
		{"the smallest price is an item", false, 1, "0.001", order.LineItem},
		{"no price is a gift", false, 1, "0", order.LineGift},
		{"no price is a gift in a credit too", true, 1, "0", order.LineGift},
		{"no price and below zero is a write-off", false, -5, "0", order.LineWriteOff},
		{"no price and below zero in a credit is an item given back", true, -5, "0", order.LineItem},
		{"a priced quantity below zero is an item given back", true, -1, "4.65", order.LineItem},
		{"a negative price is an adjustment", false, 1, "-11062.06", order.LineAdjustment},
		{"a negative price is an adjustment in a credit too", true, -1, "-0.01", order.LineAdjustment},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := order.LineKindOf(tc.credit, tc.quantity, decimal.RequireFromString(tc.price)); got != tc.want {
				t.Errorf("LineKindOf(%t, %d, %s) = %q, want %q", tc.credit, tc.quantity, tc.price, got, tc.want)
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	sold, gift, lost, adjusted := item("A", 1, "1"), item("A", 1, "0"), item("A", -1, "0"), item("A", 1, "-1")
	for _, tc := range []struct {
		name, number, prefix string
		lines                []order.Line
		want                 order.Kind
	}{
		{"the prefix makes a credit", "C536379", "C", []order.Line{sold}, order.KindCredit},
		{"no prefix given makes no credit", "C536379", "", []order.Line{sold}, order.KindSale},
		{"one sold line makes a sale", "1", "C", []order.Line{gift, lost, sold}, order.KindSale},
		{"a write-off alone is an adjustment", "1", "C", []order.Line{lost}, order.KindAdjustment},
		{"a gift alone is an adjustment", "1", "C", []order.Line{gift}, order.KindAdjustment},
		{"a negative price alone is an adjustment", "A563186", "C", []order.Line{adjusted}, order.KindAdjustment},
		{"the prefix is compared byte for byte", "c1", "C", []order.Line{lost}, order.KindAdjustment},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := order.KindOf(tc.number, tc.prefix, tc.lines); got != tc.want {
				t.Errorf("KindOf(%q, %q) = %q, want %q", tc.number, tc.prefix, got, tc.want)
			}
		})
	}
}
