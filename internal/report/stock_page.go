package report

import (
	"context"
	"fmt"
	"iter"

	"backoffice/internal/report/render"
)

// mostProducts is how many products people are shown; the rest is in the formats for programs.
const mostProducts = 500

func stockDocument(ctx context.Context, p *StockParams, src *Source, moved map[string]*moves) *render.Document {
	return &render.Document{
		Title: "Stock",
		Facts: []render.Fact{
			{Name: "Movements", Value: p.Period.String()},
			{Name: "Timezone", Value: p.Timezone},
			{Name: "Counted", Value: "products whose stock is tracked; units that came in are above zero, those that went out below"},
		},
		Sections: []render.Section{{Name: "product", Title: "Products", Columns: stockColumns(), Most: mostProducts,
			Note: "On hand, last movement and waiting orders are as of the making of this report.",
			Rows: stockRows(ctx, src, moved)}},
		Made: src.Made,
	}
}

func stockColumns() []render.Column {
	columns := []render.Column{
		{Name: "sku", Title: "SKU", Width: 0.9},
		{Name: "description", Width: 1.6},
		{Name: "on_hand", Title: "On hand", Type: render.Integer},
		{Name: "waiting_orders", Title: "Orders waiting", Type: render.Integer},
		{Name: "units_needed", Title: "Units needed", Type: render.Integer},
		{Name: "at_start", Title: "At start", Type: render.Integer},
	}
	for _, reason := range reasons {
		columns = append(columns, render.Column{Name: reason.column, Title: reason.title, Type: render.Integer})
	}
	return append(columns,
		render.Column{Name: "at_end", Title: "At end", Type: render.Integer},
		render.Column{Name: "last_movement", Title: "Last movement", Type: render.Instant})
}

// stockRows are the products by sku, read some at a time as they are written. It is the second half of the
// work.
func stockRows(ctx context.Context, src *Source, moved map[string]*moves) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		all, err := countTracked(ctx, src.DB)
		if err != nil {
			yield(nil, fmt.Errorf("count products: %w", err))
			return
		}
		var done int64
		for after := ""; ; {
			products, err := readTracked(ctx, src.DB, after, src.Watermark)
			if err != nil {
				yield(nil, fmt.Errorf("read products after %q: %w", after, err))
				return
			}
			if len(products) == 0 {
				return
			}
			for _, product := range products {
				if !yield(product.row(moved[product.SKU]), nil) {
					return
				}
			}
			after = products[len(products)-1].SKU
			done += int64(len(products))
			src.Progress((1+min(1, float64(done)/float64(max(1, all))))/2, done)
		}
	}
}

// row is a product with what moved; nil: nothing ever did.
func (t tracked) row(m *moves) []any {
	if m == nil {
		m = &moves{}
	}
	end := t.OnHand - m.after
	row := []any{t.SKU, textOrNil(t.Description), t.OnHand, t.Waiting, t.Needs, end - m.inPeriod()}
	for _, units := range m.within {
		row = append(row, units)
	}
	row = append(row, end)
	if m.last.IsZero() {
		return append(row, nil)
	}
	return append(row, m.last)
}
