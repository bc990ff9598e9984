package report

import (
	"context"
	"fmt"
	"time"

	"backoffice/internal/report/render"
)

// stock tells of every tracked product what is on hand, who waits for it, and what moved in a period. What
// counts as what:
//
// Movements count in the days at which they were noted, up to the report's watermark; units that came in are
// above zero, those that went out below. On hand is as of the watermark; what it was at the start and at the
// end of the period follows from it and the movements since. Orders wait at the moment their product is read.
var stock = Type{
	Name:  "stock",
	Title: "Stock",
	About: "Every tracked product: on hand now and at both ends of a period, what moved in it and why, the last movement, and the orders that wait for it.",

	Version: 1,
	Formats: []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX, render.FormatPDF, render.FormatHTML},
	Driver:  DriverMovements,

	NewParams: func() Params { return &StockParams{} },
	Build:     buildStock,
}

// StockParams are what a report on stock can be asked for with.
type StockParams struct {
	Period // by the day a movement was noted; both ends are needed
}

// Complete fills in the defaults and refuses what cannot be told.
func (p *StockParams) Complete() error { return p.Period.closed() }

func buildStock(ctx context.Context, src *Source) (*render.Document, error) {
	params := src.Params.(*StockParams)
	moved, err := readMoves(ctx, src, params)
	if err != nil {
		return nil, fmt.Errorf("sum up movements of stock: %w", err)
	}
	return stockDocument(ctx, params, src, moved), nil
}

// reasons why stock moves, in the order of their columns.
var reasons = [...]struct{ name, column, title string }{
	{"opening", "opened", "Opened"},
	{"receipt", "received", "Received"},
	{"sale", "sold", "Sold"},
	{"credit", "returned", "Returned"},
	{"write_off", "written_off", "Written off"},
	{"correction", "corrected", "Corrected"},
}

// moves are what was noted of one product.
type moves struct {
	within [len(reasons)]int64 // the period, by reason
	after  int64               // the period
	last   time.Time
}

// inPeriod is the sum of what moved in the period.
func (m *moves) inPeriod() int64 {
	var sum int64
	for _, units := range m.within {
		sum += units
	}
	return sum
}

// moved is a row of sumMovesSQL.
type moved struct {
	SKU, Reason   string
	Within, After int64
	Last          time.Time
}

func (m *moves) add(found moved) {
	for i, reason := range reasons {
		if reason.name == found.Reason {
			m.within[i] += found.Within
		}
	}
	m.after += found.After
	if found.Last.After(m.last) {
		m.last = found.Last
	}
}
