package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/report"
)

// hit is something that the search has found.
type hit struct {
	Path, Name, State, About string
}

// foundContent is what a search found when that was not one thing.
type foundContent struct {
	Query string
	Hits  []hit
}

// searchPage leads to what was looked for; where that is several things, it lists them.
func (a *API) searchPage(r *http.Request) (view, error) {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	if query == "" {
		return view{moved: "/"}, nil
	}
	c := foundContent{Query: query}
	err := a.glance(r.Context(), func(tx pgx.Tx) (err error) {
		c.Hits, err = find(r.Context(), tx, query)
		return err
	})
	if err != nil {
		return view{}, err
	}
	if len(c.Hits) == 1 {
		return view{moved: c.Hits[0].Path}, nil
	}
	v := view{Title: "Search", Query: query, template: "found", Content: c}
	if len(c.Hits) == 0 {
		v.status = http.StatusNotFound
	}
	return v, nil
}

// find looks for an order by its number and by its id, for a report, and for a job.
func find(ctx context.Context, tx pgx.Tx, query string) (hits []hit, err error) {
	add := func(id int64) error {
		o, err := order.Get(ctx, tx, id)
		if err == nil {
			hits = append(hits, hit{fmt.Sprintf("/orders/%d", id), "Order " + o.Number, string(o.Status), fmt.Sprintf("id %d, placed %s", id, stamp(o.PlacedAt))})
		}
		return err
	}
	numbered, err := order.FindByNumber(ctx, tx, query)
	if err == nil {
		err = add(numbered)
	}
	if err != nil && !errors.Is(err, order.ErrNotFound) {
		return nil, err
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(query, "#"), 10, 64)
	if err != nil || id < 1 {
		return hits, nil
	}
	if id != numbered {
		if err := add(id); err != nil && !errors.Is(err, order.ErrNotFound) {
			return nil, err
		}
	}
	made, err := report.Get(ctx, tx, id)
	if err == nil {
		row := rowOf(made)
		hits = append(hits, hit{fmt.Sprintf("/reports/%d", id), fmt.Sprintf("Report %d", id), string(made.Status), row.Title + ", requested " + stamp(made.RequestedAt)})
	} else if !errors.Is(err, report.ErrNotFound) {
		return nil, err
	}
	job, err := queue.GetJob(ctx, tx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return hits, nil
	}
	return append(hits, hit{fmt.Sprintf("/jobs/%d", id), fmt.Sprintf("Job %d", id), job.State, job.Kind + ", created " + stamp(job.CreatedAt)}), err
}
