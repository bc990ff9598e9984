package report

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"backoffice/internal/report/render"
)

// salesSummary tells what was sold in a period. What counts as what:
//
// Only processed orders count, on the day they were placed. Orders are those of kind sale, credits those of
// kind credit; adjustments count as neither. Amounts are the lines that post to the ledger, quantity times
// price: above zero they are sales, below zero returns, whatever the kind of their order; net is both together,
// and so the revenue of the same orders. Units are those of items, what was given back taken off; gifts and
// write-offs are none. The average order value is sales by orders. Amounts of two currencies are never added.
var salesSummary = Type{
	Name:  "sales-summary",
	Title: "Sales summary",
	About: "Orders, units, sales, returns, net and average order value of a period: in all, by day, week or month, by country, and of the products that sold best.",

	Version: 1,
	Formats: []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX, render.FormatPDF, render.FormatHTML},
	Driver:  DriverTransitions,

	NewParams: func() Params { return &SalesSummaryParams{} },
	Build:     buildSalesSummary,
}

// How many products are listed.
const (
	defaultTop = 20
	maxTop     = 1000
)

// SalesSummaryParams are what a sales summary can be asked for with.
type SalesSummaryParams struct {
	Period          // by the day an order was placed; both ends are needed
	By       string `json:"by" doc:"day, week (from Monday) or month"`
	Top      int    `json:"top" doc:"how many products are listed, for each currency"`
	Country  string `json:"country,omitempty" doc:"of the orders, as it was given, such as United Kingdom; all if not given"`
	Currency string `json:"currency,omitempty" doc:"of the orders, such as GBP; all if not given"`
}

// Complete fills in the defaults and refuses what cannot be told.
func (p *SalesSummaryParams) Complete() error {
	if err := p.Period.closed(); err != nil {
		return err
	}
	if p.By == "" {
		p.By = byMonth
	}
	if p.Top == 0 {
		p.Top = defaultTop
	}
	switch {
	case p.By != byDay && p.By != byWeek && p.By != byMonth:
		return Invalid("by", "by %q is unknown; use day, week or month", p.By)
	case p.Top < 0 || p.Top > maxTop:
		return Invalid("top", "top %d is out of range; list from 1 to %d products", p.Top, maxTop)
	}
	if err := checkCurrency(p.Currency); err != nil {
		return err
	}
	return checkText("country", p.Country)
}

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

func checkCurrency(currency string) error {
	if currency != "" && !currencyForm.MatchString(currency) {
		return Invalid("currency", "currency %q is not three capital letters; write it like GBP", currency)
	}
	return nil
}

// checkText refuses what no row can hold.
func checkText(field, value string) error {
	const limit = 1000
	switch {
	case len(value) > limit:
		return Invalid(field, "%s is %d bytes long; use at most %d", field, len(value), limit)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return Invalid(field, "%s %q is not valid UTF-8 text; remove the offending bytes", field, value)
	}
	return nil
}

func buildSalesSummary(ctx context.Context, src *Source) (*render.Document, error) {
	params := src.Params.(*SalesSummaryParams)
	sold, err := readSales(ctx, src, params)
	if err != nil {
		return nil, fmt.Errorf("sum up sales: %w", err)
	}
	return sold.document(params, src), nil
}
