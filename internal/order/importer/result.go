package importer

import (
	"fmt"
	"math"

	"github.com/shopspring/decimal"

	"backoffice/internal/order"
)

// Result counts what became of the file's rows. LinesRead = OrderLines + CreditLines +
// AdjustmentLines + RejectedLines. Rows found stored from an earlier import count like new ones.
type Result struct {
	LinesRead       int `json:"lines_read"`       // data lines of the file; the header is none
	OrderLines      int `json:"order_lines"`      // lines of sales, gifts and write-offs among them
	CreditLines     int `json:"credit_lines"`     // lines of credits
	AdjustmentLines int `json:"adjustment_lines"` // lines of documents that sell nothing
	RejectedLines   int `json:"rejected_lines"`

	Orders      int `json:"orders"` // documents by kind; one whose rows are all rejected counts nowhere
	Credits     int `json:"credits"`
	Adjustments int `json:"adjustments"`

	NetAmount    decimal.Decimal `json:"net_amount"` // sum of quantity times unit price over all lines not rejected; a string in JSON
	DocumentsNew int             `json:"documents_new"`
	LinesNew     int             `json:"lines_new"`

	FirstRejects []Reject `json:"first_rejects,omitempty"` // the first few, in the order in which they were decided
}

// Reject is one row of the file that was not imported.
type Reject struct {
	Line   int    `json:"line"`   // where the row begins in the file; the header is line 1
	Number string `json:"number"` // as the file has it; may be empty
	Reason string `json:"reason"`
}

// String is "line 17: order 536365: reason" as people read it.
func (r Reject) String() string {
	if r.Number == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d: order %s: %s", r.Line, r.Number, r.Reason)
}

// maxSum is where one more line could overflow a sum of money.
const maxSum = math.MaxInt64 - maxLineAmount

// accept counts a document of which rows (at least one) are stored now or were before.
func (r *Result) accept(kind order.Kind, rows []row) {
	switch kind {
	case order.KindCredit:
		r.Credits++
		r.CreditLines += len(rows)
	case order.KindAdjustment:
		r.Adjustments++
		r.AdjustmentLines += len(rows)
	default:
		r.Orders++
		r.OrderLines += len(rows)
	}
	var sum money
	for i := range rows {
		if sum += rows[i].amount; max(sum, -sum) > maxSum {
			r.NetAmount, sum = r.NetAmount.Add(sum.decimal()), 0
		}
	}
	r.NetAmount = r.NetAmount.Add(sum.decimal())
}

// add takes over what one committed batch counted.
func (r *Result) add(b Result) {
	r.OrderLines += b.OrderLines
	r.CreditLines += b.CreditLines
	r.AdjustmentLines += b.AdjustmentLines
	r.Orders += b.Orders
	r.Credits += b.Credits
	r.Adjustments += b.Adjustments
	r.NetAmount = r.NetAmount.Add(b.NetAmount)
	r.DocumentsNew += b.DocumentsNew
	r.LinesNew += b.LinesNew
}
