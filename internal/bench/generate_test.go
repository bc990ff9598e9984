package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
)

func drafts(seed uint64, count int) []order.Draft {
	generated := newGenerator(seed)
	made := make([]order.Draft, count)
	for i := range made {
		made[i] = generated.draft()
	}
	return made
}

func TestTheSameSeedDraftsTheSameOrders(t *testing.T) {
	t.Parallel()
	equal := cmp.Comparer(decimal.Decimal.Equal)
	if diff := cmp.Diff(drafts(1, 200), drafts(1, 200), equal); diff != "" {
		t.Errorf("one seed, two sets of orders: %s", diff)
	}
	if cmp.Equal(drafts(1, 200), drafts(2, 200), equal) {
		t.Error("two seeds drafted the same orders")
	}
}

func TestGeneratedOrdersLookLikeThoseOfAShop(t *testing.T) {
	t.Parallel()
	const count = 20_000
	numbers := map[string]bool{}
	orders := map[string]int{} // with each product
	for _, d := range drafts(generateSeed, count) {
		if numbers[d.Number] {
			t.Fatalf("number %s is there twice", d.Number)
		}
		numbers[d.Number] = true
		skus := map[string]bool{}
		for _, l := range d.Lines {
			if l.Quantity < 1 || !l.UnitPrice.IsPositive() {
				t.Fatalf("order %s has the line %+v", d.Number, l)
			}
			skus[l.SKU] = true
		}
		if len(skus) != linesPerOrder {
			t.Fatalf("order %s has %d different products, want %d", d.Number, len(skus), linesPerOrder)
		}
		for sku := range skus {
			orders[sku]++
		}
	}
	if share := float64(orders["P-00000"]) / count; share < 0.08 || share > 0.12 {
		t.Errorf("the most popular product is in %.1f%% of the orders, want about 10%%", 100*share)
	}
	if len(orders) < catalogue*9/10 {
		t.Errorf("%d of %d products are ever sold", len(orders), catalogue)
	}
}
