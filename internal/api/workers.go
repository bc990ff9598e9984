package api

import (
	"context"
	"net/http"

	"backoffice/internal/queue"
)

// maxWorkers bounds the list: more processes than a person reads.
const maxWorkers = 1000

// Workers are the worker processes.
type Workers struct {
	Workers []queue.WorkerProcess `json:"workers"`
}

func (a *API) workerRoutes() {
	register(a, route{
		id: "listWorkers", method: http.MethodGet, path: "/api/workers", tag: tagProcess, scope: ScopeRead, status: http.StatusOK,
		summary: "List the worker processes", about: "The newest first: alive, stopping, frozen, silent or dead, and how many jobs each runs. The dead are shown for an hour.",
	}, a.listWorkers)
}

func (a *API) listWorkers(ctx context.Context, in *struct {
	All bool `query:"all" doc:"Also those declared dead more than an hour ago."`
}) (*struct{ Body Workers }, error) {
	found, err := queue.ListWorkers(ctx, a.Pool, in.All, maxWorkers)
	if err != nil {
		return nil, err
	}
	return &struct{ Body Workers }{Workers{found}}, nil
}
