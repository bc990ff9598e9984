package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"backoffice/internal/report/render"
)

// customers tells who bought in a period: how recently, how often and for how much (RFM). What counts as
// what:
//
// Only processed orders that name a customer and were placed in the period count; guests are left out. A line
// is one customer in one currency. Orders are those of kind sale; recency is days from the last one to the
// period's last day; net is the revenue of all of the customer's orders, credits and adjustments included.
//
// Each measure is scored from 1 to 5 against the other customers of the same currency: 1 plus five times the
// share of them that did worse, rounded down, so that equal customers have equal scores. Segments follow from
// the scores; see segmentOf. Who only returned goods has no scores.
var customers = Type{
	Name:  "customers",
	Title: "Customers",
	About: "Every customer who bought in a period: days since the last order, orders, net; scored 1 to 5 against the others on each, and in the segment that follows from the scores.",

	Version: 1,
	Formats: []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX, render.FormatPDF, render.FormatHTML},
	Driver:  DriverTransitions,

	NewParams: func() Params { return &CustomersParams{} },
	Build:     buildCustomers,
}

// CustomersParams are what a report on customers can be asked for with.
type CustomersParams struct {
	Period          // by the day an order was placed; both ends are needed
	Currency string `json:"currency,omitempty" doc:"of the orders, such as GBP; all if not given"`
}

// Complete fills in the defaults and refuses what cannot be told.
func (p *CustomersParams) Complete() error {
	if err := p.Period.closed(); err != nil {
		return err
	}
	return checkCurrency(p.Currency)
}

func buildCustomers(ctx context.Context, src *Source) (*render.Document, error) {
	params := src.Params.(*CustomersParams)
	found, err := readBuyers(ctx, src, params)
	if err != nil {
		return nil, fmt.Errorf("sum up customers: %w", err)
	}
	found.score()
	return found.document(ctx, params, src), nil
}

// buyer is what one customer did in one currency. There may be millions: it is kept small.
type buyer struct {
	customer int64
	net      int64 // in ten-thousandths, the smallest amount there is
	orders   int32
	days     int32  // from the last order to the end of the period
	currency uint16 // in buyers.currencies

	recency, frequency, monetary uint8 // scores; 0 without orders
	segment                      segment
}

// buyers are all of a report.
type buyers struct {
	until      time.Time // the last day of the period
	zone       *time.Location
	currencies []string
	all        []buyer // while it grows, one customer may stand in it several times
}

// bought is what a query found that one customer did in one currency.
type bought struct {
	Customer int64
	Currency string
	Orders   int64
	Last     *time.Time // when the last order was placed
	Net      int64
}

// add notes what one chunk found. The orders of a customer lie in many chunks: when there is no more room,
// what belongs together is merged, which takes less memory than to look up everybody's place.
func (b *buyers) add(found bought) {
	if len(b.all) == cap(b.all) {
		b.merge()
		b.all = slices.Grow(b.all, len(b.all)+1)
	}
	one := buyer{customer: found.Customer, net: found.Net, orders: int32(found.Orders), currency: b.currency(found.Currency)}
	if found.Last != nil {
		one.days = int32(countDays(dayOf(*found.Last, b.zone), b.until) - 1)
	}
	b.all = append(b.all, one)
}

// merge leaves one of every customer and currency.
func (b *buyers) merge() {
	slices.SortFunc(b.all, func(x, y buyer) int {
		return cmp.Or(cmp.Compare(x.customer, y.customer), cmp.Compare(x.currency, y.currency))
	})
	merged := b.all[:0]
	for _, one := range b.all {
		if n := len(merged); n > 0 && merged[n-1].customer == one.customer && merged[n-1].currency == one.currency {
			merged[n-1].add(one)
		} else {
			merged = append(merged, one)
		}
	}
	b.all = merged
}

// add adds what the same customer did in other orders.
func (b *buyer) add(more buyer) {
	b.net += more.net
	if b.orders == 0 || more.orders > 0 && more.days < b.days {
		b.days = more.days
	}
	b.orders += more.orders
}

// currency is the number of a currency.
func (b *buyers) currency(name string) uint16 {
	for i, known := range b.currencies {
		if known == name {
			return uint16(i)
		}
	}
	b.currencies = append(b.currencies, name)
	return uint16(len(b.currencies) - 1)
}
