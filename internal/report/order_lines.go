package report

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/report/render"
)

// orderLines is the bulk export: every line of every processed order, in the order in which they were
// processed.
var orderLines = Type{
	Name:    "order-lines",
	Title:   "Order lines",
	About:   "Every line of every processed order, in the order of processing, for spreadsheets and other programs.",
	Version: 1,
	Formats: []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX},
	Driver:  DriverTransitions,

	NewParams: func() Params { return &OrderLinesParams{} },
	Build:     buildOrderLines,
	Export:    &Export{Lines: orderLinesSQL, Settings: orderLinesSettings, Range: orderLinesRange},
}

// OrderLinesParams narrow order-lines; empty ones do not.
type OrderLinesParams struct {
	Period          // by the day an order was placed
	Country  string `json:"country,omitempty" doc:"of the orders, as it was given, such as United Kingdom"`
	Currency string `json:"currency,omitempty" doc:"of the orders, such as GBP"`
}

// Complete checks the period and the currency.
func (p *OrderLinesParams) Complete() error {
	if err := p.Period.Complete(); err != nil {
		return err
	}
	if err := checkCurrency(p.Currency); err != nil {
		return err
	}
	return checkText("country", p.Country)
}

// Each order, and each order's lines, are looked up by key ("offset 0"): in a table that has grown since it was
// analyzed the planner would rather read all of it, for every part. The other settings are asked for once, not
// for every row; the range itself is not in a subquery, where it would not lead to the index.
const (
	orderLinesFromSQL = `
  from (select id, order_id, at
          from order_transitions
         where id > current_setting('backoffice.after')::bigint
           and id <= current_setting('backoffice.upto')::bigint
           and to_status = 'processed'
         order by id
        offset 0) t
 cross join lateral (
       select number, kind, placed_at, country, currency, to_char(placed_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as placed_text,
              to_char(t.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as processed_text,
              (select known.number from customers known where known.id = customer_id) as customer
         from orders
        where id = t.order_id
          and placed_at >= (select current_setting('backoffice.since')::timestamptz)
          and placed_at < (select current_setting('backoffice.until')::timestamptz)
          and (select current_setting('backoffice.country')) in ('', country)
          and (select current_setting('backoffice.currency')) in ('', currency)
       offset 0) o
 cross join lateral (
       select line_no, line_kind, sku, description, quantity, unit_price
         from order_lines
        where order_id = t.order_id
       offset 0) l
 order by t.id, l.line_no`

	orderLinesSQL = `
select /* report.OrderLines */ o.number as order_number, o.kind as order_kind, o.placed_text as placed_at, o.processed_text as processed_at,
       o.customer, o.country, o.currency, l.line_no, l.line_kind, l.sku, l.description, l.quantity,
       trim_scale(l.unit_price)::text as unit_price, trim_scale(l.quantity * l.unit_price)::text as amount` + orderLinesFromSQL

	orderLinesRowsSQL = `
select /* report.OrderLines */ o.number, o.kind, o.placed_at, t.at, o.customer, o.country, o.currency,
       l.line_no, l.line_kind, l.sku, l.description, l.quantity, l.unit_price, l.quantity * l.unit_price` + orderLinesFromSQL
)

// orderLinesSettings are the parameters as the queries read them.
func orderLinesSettings(params Params) map[string]string {
	p := params.(*OrderLinesParams)
	settings := map[string]string{
		"backoffice.country": p.Country, "backoffice.currency": p.Currency,
		"backoffice.since": "-infinity", "backoffice.until": "infinity",
	}
	since, until := p.Bounds()
	if since != nil && since.Year() > 0 { // what was before has no year that Postgres reads as RFC 3339 writes it, and no order
		settings["backoffice.since"] = since.UTC().Format(time.RFC3339)
	}
	if until != nil {
		settings["backoffice.until"] = until.UTC().Format(time.RFC3339)
	}
	return settings
}

var orderLinesColumns = []render.Column{
	{Name: "order_number", Title: "Order"},
	{Name: "order_kind", Title: "Kind"},
	{Name: "placed_at", Title: "Placed", Type: render.Instant},
	{Name: "processed_at", Title: "Processed", Type: render.Instant},
	{Name: "customer", Title: "Customer"},
	{Name: "country", Title: "Country"},
	{Name: "currency", Title: "Currency"},
	{Name: "line_no", Title: "Line", Type: render.Integer},
	{Name: "line_kind", Title: "Line kind"},
	{Name: "sku", Title: "SKU"},
	{Name: "description", Title: "Description", Width: 2},
	{Name: "quantity", Title: "Quantity", Type: render.Integer},
	{Name: "unit_price", Title: "Unit price", Type: render.Money},
	{Name: "amount", Title: "Amount", Type: render.Money},
}

// buildOrderLines is the export for formats that COPY does not write.
func buildOrderLines(ctx context.Context, src *Source) (*render.Document, error) {
	return &render.Document{Title: "Order lines", Made: src.Made, Sections: []render.Section{{
		Name: "order_lines", Title: "Order lines", Columns: orderLinesColumns, Rows: eachOrderLine(ctx, src),
	}}}, nil
}

// documentTransitions is how many transitions one query of a document covers: few enough for their lines to be held
// in memory, so that no snapshot waits for whoever takes the rows.
const documentTransitions = 500

// eachOrderLine reads the lines in short transactions.
func eachOrderLine(ctx context.Context, src *Source) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		var done int64
		first, last, err := orderLinesRange(ctx, src.DB, src.Params, src.Watermark)
		if err != nil {
			yield(nil, err)
			return
		}
		for after := first; after < last; {
			lines, upto, err := nextOrderLines(ctx, src, after, last)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, line := range lines {
				if !yield(line, nil) {
					return
				}
			}
			done, after = done+int64(len(lines)), upto
			src.Progress(shareOf(first, after, last), done)
		}
	}
}

// nextOrderLines reads the lines of the next transitions, none after last, and answers up to which one.
func nextOrderLines(ctx context.Context, src *Source, after, last int64) (lines [][]any, upto int64, err error) {
	if err := src.DB.QueryRow(ctx, uptoSQL, after, last, documentTransitions).Scan(&upto); err != nil {
		return nil, 0, err
	}
	settings := orderLinesSettings(src.Params)
	err = inRange(ctx, src.DB, settings, after, upto, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, orderLinesRowsSQL)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, rowToOrderLine)
		return err
	})
	return lines, upto, err
}

// rowToOrderLine reads the columns of orderLinesRowsSQL as render takes them.
func rowToOrderLine(row pgx.CollectableRow) ([]any, error) {
	var number, kind, currency, lineKind, sku string
	var customer, country, description *string
	var placedAt, processedAt time.Time
	var lineNo, quantity int64
	var price, amount decimal.Decimal
	err := row.Scan(&number, &kind, &placedAt, &processedAt, &customer, &country, &currency, &lineNo, &lineKind, &sku, &description,
		&quantity, &price, &amount)
	return []any{number, kind, placedAt, processedAt, optional(customer), optional(country), currency, lineNo, lineKind, sku,
		optional(description), quantity, price, amount}, err
}

// optional is a text that may be missing, as render takes it.
func optional(text *string) any {
	if text == nil {
		return nil
	}
	return *text
}
