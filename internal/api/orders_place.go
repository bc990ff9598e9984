package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
)

// OrderRequest is an order to be placed.
type OrderRequest struct {
	Number   string        `json:"number,omitempty" minLength:"1" maxLength:"200" doc:"The order's number in the shop, never used before. Left out: one is made up." example:"536365"`
	Kind     string        `json:"kind,omitempty" enum:"sale,credit,adjustment" doc:"sale when left out. A credit has quantities below zero and gives stock and money back."`
	Customer string        `json:"customer,omitempty" maxLength:"200" doc:"The customer's number in the shop. Left out: a guest." example:"17850"`
	Country  string        `json:"country,omitempty" maxLength:"1000" example:"United Kingdom"`
	Currency string        `json:"currency,omitempty" pattern:"^[A-Z]{3}$" patternDescription:"three capital letters" doc:"GBP when left out." example:"GBP"`
	PlacedAt *time.Time    `json:"placed_at,omitempty" doc:"When it was placed, a day ahead at most; now when left out."`
	Lines    []LineRequest `json:"lines" minItems:"1" maxItems:"10000"`
}

// LineRequest is one line of an order to be placed.
type LineRequest struct {
	SKU         string `json:"sku" minLength:"1" maxLength:"200" doc:"The product, compared byte for byte." example:"85123A"`
	Quantity    int    `json:"quantity" minimum:"-2147483648" maximum:"2147483647" doc:"Not zero; below zero in a credit or write-off." example:"6"`
	UnitPrice   string `json:"unit_price" maxLength:"16" pattern:"^-?[0-9]{1,10}([.][0-9]{1,4})?$" patternDescription:"an amount with at most 4 decimals" doc:"In the order's currency: a string, so that no reader makes it a float." example:"2.55"`
	Description string `json:"description,omitempty" maxLength:"1000"`
	Kind        string `json:"kind,omitempty" enum:"item,gift,write_off,adjustment" doc:"Left out: what price and quantity say."`
	LineNo      int    `json:"line_no,omitempty" minimum:"1" maximum:"2147483647" doc:"Its place in the order when left out."`
}

// draft is the order as the domain knows it, which checks what a schema cannot say. The place is that of
// the order in the request: body.
func (r OrderRequest) draft(place string, now func() time.Time) (order.Draft, error) {
	d := order.Draft{
		Number: r.Number, Kind: order.Kind(r.Kind), Customer: r.Customer, Country: r.Country, Currency: r.Currency,
		Lines: make([]order.Line, len(r.Lines)),
	}
	if r.PlacedAt != nil {
		d.PlacedAt = *r.PlacedAt
		if d.PlacedAt.IsZero() { // which to the domain means now
			return d, refuse(errInvalid, place+"placed_at", "placed_at %s is out of range", d.PlacedAt.Format(time.RFC3339))
		}
		if err := order.CheckPlacedAt(d.PlacedAt, now()); err != nil {
			return d, inside(place, err)
		}
	}
	for i, l := range r.Lines {
		price, err := decimal.NewFromString(l.UnitPrice)
		if err != nil { // the pattern lets no such text pass
			return d, refuse(errInvalid, place+"lines["+strconv.Itoa(i)+"].unit_price", "unit_price %q is no amount", l.UnitPrice)
		}
		d.Lines[i] = order.Line{
			LineNo: l.LineNo, Kind: order.LineKind(l.Kind), SKU: l.SKU, Description: l.Description, Quantity: l.Quantity, UnitPrice: price,
		}
	}
	return d, nil
}

// PlacedOrder tells one order of a batch.
type PlacedOrder struct {
	ID       int64  `json:"id"`
	Number   string `json:"number"`
	Status   string `json:"status"`
	Location string `json:"location" doc:"Where to follow it."`
}

// PlacedOrders is the answer to a batch, in its order.
type PlacedOrders struct {
	Orders []PlacedOrder `json:"orders"`
}

// What one batch may hold.
const (
	maxOrders = 1000
	maxLines  = 20_000
)

const (
	ordersPath = "/api/orders"
	batchPath  = "/api/orders/batch"

	placeRoute = http.MethodPost + " " + ordersPath // in idempotency_keys
)

func orderPath(id int64) string { return ordersPath + "/" + strconv.FormatInt(id, 10) }

func (a *API) orderPlaceRoutes() {
	register(a, route{
		id: "placeOrder", method: http.MethodPost, path: ordersPath, tag: tagOrders, scope: ScopeEnqueue, status: http.StatusAccepted,
		maxBody: a.MaxBody, errors: creating, answer: reflect.TypeFor[order.Order](),
		summary: "Place an order",
		about:   "The order, its lines and its job are stored together or not at all. It is processed soon after; `Location` tells how it went.",
	}, a.placeOrder)
	register(a, route{
		id: "placeOrders", method: http.MethodPost, path: batchPath, tag: tagOrders, scope: ScopeEnqueue, status: http.StatusAccepted,
		maxBody: a.MaxBatchBody, errors: creating, answer: reflect.TypeFor[PlacedOrders](),
		summary: "Place many orders",
		about:   "Up to 1000 orders with up to 20000 lines together, in one transaction: all of them or none.",
	}, a.placeOrders)
}

func (a *API) placeOrder(ctx context.Context, in *struct {
	Idempotent
	Body OrderRequest
}) (*created, error) {
	draft, err := in.Body.draft("body.", a.Now)
	if err != nil {
		return nil, err
	}
	return a.place(ctx, in.Key, draft)
}

func (a *API) placeOrders(ctx context.Context, in *struct {
	Idempotent
	Body struct {
		Orders []OrderRequest `json:"orders" minItems:"1" maxItems:"1000"`
	}
}) (*created, error) {
	lines := 0
	for _, r := range in.Body.Orders {
		lines += len(r.Lines)
	}
	if lines > maxLines {
		return nil, refuse(errInvalid, "body.orders", "the orders have %d lines together; send at most %d at once", lines, maxLines)
	}
	drafts := make([]order.Draft, len(in.Body.Orders))
	for i, r := range in.Body.Orders {
		var err error
		if drafts[i], err = r.draft(fmt.Sprintf("body.orders[%d].", i), a.Now); err != nil {
			return nil, err
		}
	}
	return a.once(ctx, "POST "+batchPath, in.Key, func(tx pgx.Tx) (outcome, error) {
		placed, err := order.Place(ctx, tx, a.Jobs, drafts...)
		if err != nil {
			place := "body.orders."
			if len(drafts) == 1 {
				place = "body.orders[0]."
			}
			return outcome{}, inside(place, err)
		}
		answer := PlacedOrders{Orders: make([]PlacedOrder, len(placed))}
		for i, o := range placed {
			answer.Orders[i] = PlacedOrder{ID: o.ID, Number: o.Number, Status: string(o.Status), Location: orderPath(o.ID)}
		}
		return outcome{status: http.StatusAccepted, body: answer}, nil
	})
}
