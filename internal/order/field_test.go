package order_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
)

func TestRefusalNamesItsField(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(order.Draft{Number: "taken", Lines: []order.Line{item("A", 1, "1")}})
	whole := func() order.Draft { return sale(item("A", 1, "1"), item("B", 1, "1")) }
	with := func(change func(*order.Draft)) order.Draft {
		d := whole()
		change(&d)
		return d
	}
	for field, drafts := range map[string][]order.Draft{
		"currency":                {with(func(d *order.Draft) { d.Currency = "pounds" })},
		"lines":                   {with(func(d *order.Draft) { d.Lines = nil })},
		"lines[1].quantity":       {with(func(d *order.Draft) { d.Lines[1].Quantity = 0 })},
		"lines[1].line_no":        {with(func(d *order.Draft) { d.Lines[0].LineNo, d.Lines[1].LineNo = 4, 4 })},
		"number":                  {with(func(d *order.Draft) { d.Number = "taken" })},
		"[1].number":              {whole(), with(func(d *order.Draft) { d.Number = "taken" })},
		"[1].lines[0].unit_price": {whole(), sale(item("A", 1, "0.00001"))},
		"[2].number":              {whole(), with(func(d *order.Draft) { d.Number = "twice" }), with(func(d *order.Draft) { d.Number = "twice" })},
	} {
		t.Run(field, func(t *testing.T) {
			err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
				_, err := order.Place(t.Context(), tx, s.jobs, drafts...)
				return err
			})
			if err == nil {
				t.Fatal("accepted")
			}
			if got := order.FieldOf(err); got != field {
				t.Errorf("field = %q, want %q; error: %v", got, field, err)
			}
		})
	}
}
