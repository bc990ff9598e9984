package importer

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
)

// storedOrder is what the database has under a document's number.
type storedOrder struct {
	kind              order.Kind
	customer, country string // "" for null
	currency          string
	placedAt          time.Time
	lines             []storedLine // by line_no
	wanted            string       // the currency of this import
}

type storedLine struct {
	kind             order.LineKind
	sku, description string
	quantity         int
	price            string // as numeric(14,4) prints
}

const findOrdersSQL = `
select /* importer.findStored */ o.id, o.number, o.kind, coalesce(c.number, ''), coalesce(o.country, ''), o.currency, o.placed_at
  from orders o
  left join customers c on c.id = o.customer_id
 where o.number = any($1)`

const findLinesSQL = `
select /* importer.findStored */ order_id, line_kind, sku, coalesce(description, ''), quantity, unit_price::text
  from order_lines
 where order_id = any($1)
 order by order_id, line_no`

// findStored answers the orders that exist under the documents' numbers, with their lines.
func findStored(ctx context.Context, tx pgx.Tx, documents []*document, currency string) (map[string]*storedOrder, error) {
	rows, err := tx.Query(ctx, findOrdersSQL, numbersOf(documents))
	if err != nil {
		return nil, fmt.Errorf("find stored orders: %w", err)
	}
	byNumber, byID := map[string]*storedOrder{}, map[int64]*storedOrder{}
	var id int64
	var number string
	found := storedOrder{wanted: currency}
	_, err = pgx.ForEachRow(rows, []any{&id, &number, &found.kind, &found.customer, &found.country, &found.currency, &found.placedAt}, func() error {
		s := found
		byNumber[number], byID[id] = &s, &s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find stored orders: %w", err)
	}
	return byNumber, findLines(ctx, tx, byID)
}

// findLines fills in the lines.
func findLines(ctx context.Context, tx pgx.Tx, orders map[int64]*storedOrder) error {
	if len(orders) == 0 {
		return nil
	}
	ids := make([]int64, 0, len(orders))
	for id := range orders {
		ids = append(ids, id)
	}
	rows, err := tx.Query(ctx, findLinesSQL, ids)
	if err != nil {
		return fmt.Errorf("find stored lines: %w", err)
	}
	var id int64
	var l storedLine
	_, err = pgx.ForEachRow(rows, []any{&id, &l.kind, &l.sku, &l.description, &l.quantity, &l.price}, func() error {
		orders[id].lines = append(orders[id].lines, l)
		return nil
	})
	if err != nil {
		return fmt.Errorf("find stored lines: %w", err)
	}
	return nil
}

// compare counts the rows that are stored as the file has them and rejects the others. A difference
// in what belongs to the order as a whole rejects all of its rows.
func (o *outcome) compare(s *storedOrder, d *document) {
	if difference := s.differs(d); difference != "" {
		o.rejects = append(o.rejects, d.rejectAll(difference)...)
		return
	}
	same := make([]row, 0, len(d.rows))
	for i := range d.rows {
		if difference := s.lineDiffers(i, &d.rows[i]); difference != "" {
			o.rejects = append(o.rejects, d.rows[i].reject(difference))
		} else {
			same = append(same, d.rows[i])
		}
	}
	if len(same) > 0 {
		o.counts.accept(d.kind, same)
	}
}

// differs names the first field in which the stored order and the document differ, or is "".
func (s *storedOrder) differs(d *document) string {
	switch {
	case s.kind != d.kind:
		return differs("the order", "kind", string(s.kind), string(d.kind))
	case s.customer != d.customer:
		return differs("the order", fieldCustomer, s.customer, d.customer)
	case s.country != d.country:
		return differs("the order", fieldCountry, s.country, d.country)
	case s.currency != s.wanted:
		return differs("the order", "currency", s.currency, s.wanted)
	case !s.placedAt.Equal(d.placedAt):
		return differs("the order", fieldPlacedAt, s.placedAt.UTC().Format(time.RFC3339Nano), d.placedAt.Format(time.RFC3339Nano))
	}
	return ""
}

// lineDiffers names the first field in which row i of the document differs from line i of the stored
// order, or is "". Both are in the order of the file.
func (s *storedOrder) lineDiffers(i int, r *row) string {
	if i >= len(s.lines) {
		return fmt.Sprintf("the order is stored with %d lines, this would be line %d; a placed order takes no more lines", len(s.lines), i+1)
	}
	l, name := s.lines[i], fmt.Sprintf("line %d of the order", i+1)
	switch {
	case l.sku != r.item.SKU:
		return differs(name, fieldSKU, l.sku, r.item.SKU)
	case l.description != r.item.Description:
		return differs(name, fieldDescription, l.description, r.item.Description)
	case l.quantity != r.item.Quantity:
		return differs(name, fieldQuantity, fmt.Sprint(l.quantity), fmt.Sprint(r.item.Quantity))
	case l.price != r.price.String():
		return differs(name, fieldUnitPrice, l.price, r.price.String())
	case l.kind != r.item.Kind:
		return differs(name, "line_kind", string(l.kind), string(r.item.Kind))
	}
	return ""
}

func differs(what, field, stored, file string) string {
	return fmt.Sprintf("%s is stored with %s %q, the file has %q", what, field, stored, file)
}
