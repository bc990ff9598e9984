package importer

import (
	"fmt"
	"time"

	"backoffice/internal/order"
)

// document is the rows of one number: an order in the making. Customer and country are those of the
// first row that names one, placed_at is the first row's. A row that names another customer or country
// is malformed: an order has one of each, and keeping the first would lose the other.
type document struct {
	number            string
	kind              order.Kind
	customer, country string
	placedAt          time.Time
	rows              []row
	firstLine         int
	lastSeen          int    // position among the data lines of its last row
	spoiled           string // why none of its rows can be imported; "" while all can
}

// add takes a row in and answers the rows that are rejected by it. A document is stored whole or not
// at all, because the lines of a placed order can never be completed later: one malformed row rejects
// those before and after it.
func (d *document) add(r row) []rejectedRow {
	if d.spoiled != "" {
		if r.reason == "" {
			r.reason = d.spoiled
		}
		return []rejectedRow{r.reject(r.reason)}
	}
	if r.reason == "" {
		r.reason = d.contradiction(&r)
	}
	if r.reason == "" {
		d.take(r)
		return nil
	}
	d.spoiled = fmt.Sprintf("line %d of the file is rejected (%s), and an order is stored whole or not at all", r.line, r.reason)
	rejects := make([]rejectedRow, 0, len(d.rows)+1)
	for i := range d.rows {
		rejects = append(rejects, d.rows[i].reject(d.spoiled))
	}
	d.rows = nil
	return append(rejects, r.reject(r.reason))
}

// contradiction says in what a row differs from the rows before it, or "".
func (d *document) contradiction(r *row) string {
	switch {
	case r.customer != "" && d.customer != "" && r.customer != d.customer:
		return fmt.Sprintf("customer %q differs from customer %q of the rows from line %d on; an order has one customer", r.customer, d.customer, d.firstLine)
	case r.country != "" && d.country != "" && r.country != d.country:
		return fmt.Sprintf("country %q differs from country %q of the rows from line %d on; an order has one country", r.country, d.country, d.firstLine)
	}
	return ""
}

func (d *document) take(r row) {
	if len(d.rows) == 0 {
		d.placedAt = r.placedAt
	}
	if d.customer == "" {
		d.customer = r.customer
	}
	if d.country == "" {
		d.country = r.country
	}
	d.rows = append(d.rows, r)
}

// classify decides the kinds once all rows are known, and numbers the lines.
func (d *document) classify(creditPrefix string) {
	lines := make([]order.Line, len(d.rows))
	for i := range d.rows {
		lines[i] = d.rows[i].item
	}
	d.kind = order.KindOf(d.number, creditPrefix, lines)
	for i := range d.rows {
		item := &d.rows[i].item
		item.LineNo = i + 1
		item.Kind = order.LineKindOf(d.kind == order.KindCredit, item.Quantity, item.UnitPrice)
	}
}

// rejectAll rejects every row for one reason.
func (d *document) rejectAll(reason string) []rejectedRow {
	rejects := make([]rejectedRow, len(d.rows))
	for i := range d.rows {
		rejects[i] = d.rows[i].reject(reason)
	}
	return rejects
}
