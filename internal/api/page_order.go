package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/audit"
	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

const (
	storyRefresh = 2   // seconds, until the order or job is final
	shownLines   = 200 // of an order; there may be ten thousand
	shownJobs    = 20  // of an order, the latest
	shownOrders  = 50
)

// orderContent is the story of one order.
type orderContent struct {
	order.Story
	Lines     []order.Line // the first of them
	MoreLines int
	Amount    decimal.Decimal
	Jobs      []jobContent // the latest first
	MoreJobs  int
	Actions   []audit.Action
}

func (a *API) orderPage(r *http.Request) (view, error) {
	id, ok := pathID(r)
	if !ok {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("%q is no id of an order.", shortened(r.PathValue("id")))), nil
	}
	var c orderContent
	err := a.glance(r.Context(), func(tx pgx.Tx) (err error) {
		c, err = readOrder(r.Context(), tx, id)
		return err
	})
	if errors.Is(err, order.ErrNotFound) {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("There is no order with id %d.", id)), nil
	}
	if err != nil {
		return view{}, err
	}
	v := view{Title: "Order " + c.Order.Number, Section: "orders", template: "order", Content: c}
	if !c.Order.Status.Final() {
		v.Refresh = storyRefresh
	}
	return v, nil
}

func readOrder(ctx context.Context, db postgres.DB, id int64) (orderContent, error) {
	story, err := order.History(ctx, db, id)
	if err != nil {
		return orderContent{}, err
	}
	c := orderContent{Story: story, Lines: story.Order.Lines, Amount: order.Total(story.Order.Lines)}
	if c.MoreLines = len(c.Lines) - shownLines; c.MoreLines > 0 {
		c.Lines = c.Lines[:shownLines]
	}
	kept := slices.Clone(story.Jobs)
	slices.Reverse(kept)
	if c.MoreJobs = len(kept) - shownJobs; c.MoreJobs > 0 {
		kept = kept[:shownJobs]
	}
	for _, j := range kept {
		job, err := queue.GetJob(ctx, db, j.ID)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return orderContent{}, err
		}
		c.Jobs = append(c.Jobs, contentOf(job))
	}
	c.Actions, err = audit.List(ctx, db, audit.Filter{Target: fmt.Sprintf("order %d", id), Limit: shownActions})
	return c, err
}

// pathID is the id in a request's path.
func pathID(r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	return id, err == nil && id > 0
}

// ordersContent is a page of orders.
type ordersContent struct {
	Statuses []order.Status
	Status   order.Status // empty: any
	Orders   []order.Order
	Next     int64 // 0: this was the last
	Before   int64
}

func (a *API) ordersPage(r *http.Request) (view, error) {
	query := r.URL.Query()
	c := ordersContent{
		Statuses: []order.Status{order.StatusPlaced, order.StatusAwaitingStock, order.StatusProcessed, order.StatusRejected, order.StatusCancelled},
		Status:   order.Status(query.Get("status")),
	}
	if c.Status != "" && !slices.Contains(c.Statuses, c.Status) {
		return a.problemPage(http.StatusNotFound, fmt.Sprintf("No order can have status %q.", shortened(string(c.Status)))), nil
	}
	if text := query.Get("before"); text != "" {
		var err error
		if c.Before, err = strconv.ParseInt(text, 10, 64); err != nil || c.Before < 1 {
			return a.problemPage(http.StatusNotFound, fmt.Sprintf("%q is no id of an order.", shortened(text))), nil
		}
	}
	err := a.glance(r.Context(), func(tx pgx.Tx) (err error) {
		c.Orders, c.Next, err = order.Recent(r.Context(), tx, c.Status, c.Before, shownOrders)
		return err
	})
	v := view{Title: "Orders", Section: "orders", template: "orders", Content: c}
	if c.Before == 0 {
		v.Refresh = statusRefresh
	}
	return v, err
}
