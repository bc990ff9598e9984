// Package order says what an order is and how it changes: placing, processing, cancelling, and the
// products, stock and ledger that processing touches. All rules about orders and their SQL live here.
// How a job asks for an order to be processed lives in workers, and the job's fence in queue.
//
// Every transaction of this package takes its locks in one sequence: rows of river_job by id, orders
// by id, products by sku, rows of order_waits by order and sku. Two transactions can therefore wait
// for each other in one direction only, and never deadlock.
package order

import (
	"time"

	"github.com/shopspring/decimal"
)

// Status says how far an order has come.
type Status string

// The statuses. An order begins as placed; processed, rejected and cancelled are final.
const (
	StatusPlaced        Status = "placed"
	StatusAwaitingStock Status = "awaiting_stock"
	StatusProcessed     Status = "processed"
	StatusRejected      Status = "rejected"
	StatusCancelled     Status = "cancelled"
)

// Final reports whether an order of this status never changes again.
func (s Status) Final() bool {
	return s == StatusProcessed || s == StatusRejected || s == StatusCancelled
}

// Kind says what an order is to the books.
type Kind string

// The kinds of orders.
const (
	KindSale       Kind = "sale"
	KindCredit     Kind = "credit"     // gives stock back and reverses money
	KindAdjustment Kind = "adjustment" // corrects stock or money, sells nothing
)

// LineKind says what a line does to stock and ledger.
type LineKind string

// The kinds of lines.
const (
	LineItem       LineKind = "item"       // stock and ledger
	LineGift       LineKind = "gift"       // takes stock, no money
	LineWriteOff   LineKind = "write_off"  // takes stock that is lost; its quantity is below zero
	LineAdjustment LineKind = "adjustment" // ledger only
)

// Line is one line of an order.
type Line struct {
	LineNo      int             `json:"line_no"` // above zero, unique in its order; zero in a draft: the line's place in it
	Kind        LineKind        `json:"kind"`    // empty in a draft: what LineKindOf says
	SKU         string          `json:"sku"`     // compared byte for byte
	Description string          `json:"description,omitempty"`
	Quantity    int             `json:"quantity"`   // zero is refused in a draft; below zero gives stock back, except in a write-off
	UnitPrice   decimal.Decimal `json:"unit_price"` // in the order's currency, at most 4 decimals
}

// Draft is an order that is not stored yet. Zero values mean the table's defaults: a number made up
// by the database, a sale, a guest, no country, GBP, placed now.
type Draft struct {
	Number   string
	Kind     Kind
	Customer string // the customer's number in the shop, created when unknown; empty: a guest
	Country  string
	Currency string // three capital letters
	PlacedAt time.Time
	Lines    []Line // at least one
}

// Order is a stored order.
type Order struct {
	ID       int64     `json:"id"`
	Number   string    `json:"number"`
	Kind     Kind      `json:"kind"`
	Status   Status    `json:"status"`
	Customer string    `json:"customer,omitempty"` // the customer's number; empty: a guest
	Country  string    `json:"country,omitempty"`
	Currency string    `json:"currency"`
	PlacedAt time.Time `json:"placed_at"`        // UTC
	Enqueued bool      `json:"enqueued"`         // its process_order job was inserted
	Reason   string    `json:"reason,omitempty"` // why it was rejected or cancelled
	Lines    []Line    `json:"lines,omitempty"`
}

// Answer is what Process found or did about one order.
type Answer struct {
	OrderID int64
	Status  Status // empty: no such order
	Reason  string // why the order was rejected or cancelled, or what it waits for
	Err     error  // why this order alone could not be settled, and so was left as it is; ErrBusy: later is soon enough
}

// Total is what lines of one order come to in the ledger, in the order's currency: items and
// adjustments count, gifts and write-offs do not.
func Total(lines []Line) decimal.Decimal {
	total := decimal.Zero
	for _, l := range lines {
		if l.Kind == LineItem || l.Kind == LineAdjustment {
			total = total.Add(l.UnitPrice.Mul(decimal.NewFromInt(int64(l.Quantity))))
		}
	}
	return total
}
