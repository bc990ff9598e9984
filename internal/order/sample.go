package order

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shopspring/decimal"
)

// SampleProducts are the products that Sample sells, with the stock to track them with; nil leaves a
// product untracked.
func SampleProducts() []Product {
	stock := func(n int) *int { return &n }
	return []Product{
		{SKU: "MUG-BLUE", Description: "Mug, blue", OnHand: stock(400)},
		{SKU: "MUG-RED", Description: "Mug, red", OnHand: stock(400)},
		{SKU: "TEAPOT", Description: "Teapot, two cups", OnHand: stock(250)},
		{SKU: "TEA-EARL", Description: "Earl Grey, 100 g", OnHand: stock(900)},
		{SKU: "TEA-MINT", Description: "Peppermint, 50 g", OnHand: stock(900)},
		{SKU: "TIN", Description: "Tin with a lid", OnHand: stock(100)},
		{SKU: "SPOON", Description: "Measuring spoon", OnHand: stock(300)},
		{SKU: "CARD", Description: "Greeting card"},
		{SKU: "POST", Description: "Postage"},
	}
}

var samplePrices = map[string]string{
	"MUG-BLUE": "6.95", "MUG-RED": "6.95", "TEAPOT": "24.50", "TEA-EARL": "8.25", "TEA-MINT": "4.75",
	"TIN": "3.20", "SPOON": "2.10", "CARD": "1.85", "POST": "4.50",
}

// Sample drafts n orders of a small tea shop placed in the 30 days before now: mostly sales, some
// returns, and a write-off that is larger than the stock. The same seed and n draft the same orders.
func Sample(n int, seed uint64, now time.Time) []Draft {
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	countries := []string{"United Kingdom", "United Kingdom", "United Kingdom", "Germany", "France", "EIRE"}
	drafts := make([]Draft, n)
	for i := range drafts {
		drafts[i] = Draft{
			Number:   fmt.Sprintf("S-%05d", i+1),
			Customer: fmt.Sprintf("C-%03d", 1+random.IntN(max(1, n/4))),
			Country:  countries[random.IntN(len(countries))],
			Currency: "GBP",
			PlacedAt: now.Add(-30 * 24 * time.Hour * time.Duration(n-i) / time.Duration(n)).Truncate(time.Second),
			Lines:    sampleLines(random),
		}
		if i%25 == 24 {
			returned(&drafts[i])
		}
	}
	if n > 0 {
		drafts[n-1] = Draft{
			Number: fmt.Sprintf("S-%05d", n), Kind: KindAdjustment, Currency: "GBP", PlacedAt: now.Truncate(time.Second),
			Lines: []Line{{SKU: "TEAPOT", Description: "Broken in the warehouse", Quantity: -900, UnitPrice: decimal.Zero}},
		}
	}
	return drafts
}

func sampleLines(random *rand.Rand) []Line {
	products := SampleProducts()
	random.Shuffle(len(products), func(i, j int) { products[i], products[j] = products[j], products[i] })
	lines := make([]Line, 1+random.IntN(4))
	for i := range lines {
		p := products[i]
		lines[i] = Line{
			SKU: p.SKU, Description: p.Description, Quantity: 1 + random.IntN(5),
			UnitPrice: decimal.RequireFromString(samplePrices[p.SKU]),
		}
	}
	return lines
}

// returned turns a sale into its return.
func returned(d *Draft) {
	d.Kind = KindCredit
	for i := range d.Lines {
		d.Lines[i].Quantity = -d.Lines[i].Quantity
	}
}
