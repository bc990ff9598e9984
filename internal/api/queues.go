package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/queue"
)

const queuesPath = "/api/queues"

// Queues is how all queues stand.
type Queues struct {
	Queues []queue.Depth `json:"queues"`
}

// QueueName names a queue in a path.
type QueueName struct {
	Name string `path:"name" maxLength:"64" pattern:"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$" patternDescription:"the name of a queue" example:"orders"`
}

func (a *API) queueRoutes() {
	register(a, route{
		id: "listQueues", method: http.MethodGet, path: queuesPath, tag: tagQueues, scope: ScopeRead, status: http.StatusOK,
		summary: "List the queues", about: "Unfinished jobs by state, how old the oldest is that is due, and whether the queue is paused. Counts stop at 10000.",
	}, a.listQueues)
	register(a, route{
		id: "pauseQueue", method: http.MethodPost, path: queuesPath + "/{name}/pause", tag: tagQueues, scope: ScopeOperate, status: http.StatusOK,
		errors: []int{http.StatusNotFound}, summary: "Pause a queue",
		about: "No worker process fetches its jobs any more; those that run go on. Enqueuing goes on.",
	}, a.changeQueue("pause_queue", queue.PauseQueue))
	register(a, route{
		id: "resumeQueue", method: http.MethodPost, path: queuesPath + "/{name}/resume", tag: tagQueues, scope: ScopeOperate, status: http.StatusOK,
		errors: []int{http.StatusNotFound}, summary: "Resume a paused queue",
		about: "Its jobs are fetched again at once.",
	}, a.changeQueue("resume_queue", queue.ResumeQueue))
}

func (a *API) listQueues(ctx context.Context, _ *struct{}) (*struct{ Body Queues }, error) {
	found, err := queue.ListQueues(ctx, a.Pool)
	if err != nil {
		return nil, err
	}
	return &struct{ Body Queues }{Queues{found}}, nil
}

// QueueChange tells what was done to a queue.
type QueueChange struct {
	Queue  string `json:"queue"`
	Paused bool   `json:"paused"`
}

// changeQueue is the handler of what an operator does to one queue.
func (a *API) changeQueue(action string, change func(context.Context, pgx.Tx, *queue.Client, string) error) func(context.Context, *QueueName) (*struct{ Body QueueChange }, error) {
	return func(ctx context.Context, in *QueueName) (*struct{ Body QueueChange }, error) {
		err := a.operate(ctx, action, "queue "+in.Name, "", func(tx pgx.Tx) error { return change(ctx, tx, a.Jobs, in.Name) })
		if err != nil {
			return nil, notFoundAt("path.name", err)
		}
		return &struct{ Body QueueChange }{QueueChange{in.Name, action == "pause_queue"}}, nil
	}
}
