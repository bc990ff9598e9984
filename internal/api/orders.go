package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
)

func (a *API) orderRoutes() {
	a.orderPlaceRoutes()
	register(a, route{
		id: "listOrders", method: http.MethodGet, path: ordersPath, tag: tagOrders, scope: ScopeRead, status: http.StatusOK,
		summary: "List orders, the newest first", about: "Without their lines. `next` leads to the page after this one. One page looks at no more than 20000 orders: of a rare sort it may hold few, or none, and still have a `next`; only a page without `next` was the last.",
	}, a.listOrders)
	register(a, route{
		id: "getOrder", method: http.MethodGet, path: ordersPath + "/{id}", tag: tagOrders, scope: ScopeRead, status: http.StatusOK,
		errors:  []int{http.StatusNotFound},
		summary: "Tell the whole story of an order",
		about:   "Its lines, changes of status, effects, ledger entries, stock movements, what it waits for, and its jobs with their attempts and last error. While it is not final, `Retry-After` says when to look again.",
	}, a.getOrder)
	register(a, route{
		id: "cancelOrder", method: http.MethodPost, path: ordersPath + "/{id}/cancel", tag: tagOrders, scope: ScopeOperate, status: http.StatusOK,
		maxBody: a.MaxBody, errors: []int{http.StatusNotFound, http.StatusConflict},
		summary: "Cancel an order",
		about:   "With its waiting job, in one transaction. 409: it is processed, rejected or cancelled already.",
	}, a.cancelOrder)
}

// Orders is a page of orders.
type Orders struct {
	Orders []order.Order `json:"orders"`
	Next   string        `json:"next,omitempty" doc:"The page after this one; absent: this was the last."`
}

func (a *API) listOrders(ctx context.Context, in *struct {
	Page
	Status   string `query:"status" enum:"placed,awaiting_stock,processed,rejected,cancelled"`
	Kind     string `query:"kind" enum:"sale,credit,adjustment"`
	Customer string `query:"customer" doc:"The customer's number in the shop."`
}) (*struct {
	Link string `header:"Link" doc:"rel=next: the page after this one."`
	Body Orders
}, error) {
	found, next, err := order.Page(ctx, a.Pool, order.Filter{
		Status: order.Status(in.Status), Kind: order.Kind(in.Kind), Customer: in.Customer, After: in.After, Limit: in.Limit,
	})
	if err != nil {
		return nil, inside("query.", err)
	}
	out := &struct {
		Link string `header:"Link" doc:"rel=next: the page after this one."`
		Body Orders
	}{Body: Orders{Orders: append([]order.Order{}, found...)}}
	if next > 0 {
		out.Body.Next, out.Link = in.next(ordersPath, next, "status", in.Status, "kind", in.Kind, "customer", in.Customer)
	}
	return out, nil
}

// OrderStory is everything that is known about an order.
type OrderStory struct {
	order.Story
	Amount string `json:"amount" doc:"What its lines come to, in its currency."`
}

// OrderID names an order in a path.
type OrderID struct {
	ID int64 `path:"id" minimum:"1" doc:"The order's id."`
}

func (a *API) getOrder(ctx context.Context, in *OrderID) (*struct {
	RetryAfter string `header:"Retry-After" doc:"Seconds; absent once the order is final."`
	Body       OrderStory
}, error) {
	var story order.Story
	err := snapshot(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		story, err = order.History(ctx, tx, in.ID)
		return err
	})
	if err != nil {
		return nil, notFoundAt("path.id", err)
	}
	out := &struct {
		RetryAfter string `header:"Retry-After" doc:"Seconds; absent once the order is final."`
		Body       OrderStory
	}{Body: OrderStory{story, order.Total(story.Order.Lines).String()}}
	if !story.Order.Status.Final() {
		out.RetryAfter = "1"
	}
	return out, nil
}

// CancelRequest says why.
type CancelRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Kept with the order and in the audit log." example:"customer called"`
}

func (a *API) cancelOrder(ctx context.Context, in *struct {
	OrderID
	Body *CancelRequest
}) (*struct{ Body order.Order }, error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	out := &struct{ Body order.Order }{}
	err := a.operate(ctx, "cancel_order", fmt.Sprintf("order %d", in.ID), reason, func(tx pgx.Tx) (err error) {
		out.Body, err = order.Cancel(ctx, tx, a.Jobs, in.ID, reason, a.Now())
		return err
	})
	if err != nil {
		return nil, notFoundAt("path.id", inside("body.", err))
	}
	return out, nil
}
