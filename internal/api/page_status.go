package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/periodic"
)

const (
	statusRefresh = 5   // seconds
	shownWorkers  = 100 // more processes than a person reads
	shownFailures = 50
)

// statusContent is everything at a glance, of one moment.
type statusContent struct {
	Notices  []string
	Orders   []statusCount
	Partial  bool // a count says that there may be more
	Queues   []queueRow
	Workers  []queue.WorkerProcess
	More     bool // there are more worker processes
	Failures []failureRow
	Reports  []reportRow // the newest

	Schedules     []scheduleRow
	MoreSchedules bool
}

type statusCount struct {
	Status order.Status
	Count  string
}

type queueRow struct {
	queue.Depth
	Oldest *time.Duration // how long the oldest has been due
}

// Bounded shows a count of the queue.
func (q queueRow) Bounded(n int) string {
	if q.Capped && n >= queue.MaxDepth {
		return number(queue.MaxDepth) + "+"
	}
	return number(n)
}

type failureRow struct {
	queue.Failure
	More bool // jobs beside the sample
}

// statusPage reads once for all who look at the same moment.
func (a *API) statusPage(r *http.Request) (view, error) {
	read := a.pages.reading.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.Handle)
		defer cancel()
		return a.readStatus(ctx)
	})
	select {
	case <-r.Context().Done():
		return view{}, r.Context().Err()
	case result := <-read:
		if result.Err != nil {
			return view{}, result.Err
		}
		return view{Title: "Status", Section: "status", Refresh: statusRefresh, template: "status", Content: result.Val}, nil
	}
}

// glance runs read on one snapshot, on a connection that is kept for pages.
func (a *API) glance(ctx context.Context, read func(pgx.Tx) error) error {
	return snapshot(ctx, a.Look, read)
}

// snapshot runs read on one snapshot, in a transaction that cannot write. Compiling the views would take
// longer than running them.
func snapshot(ctx context.Context, pool *pgxpool.Pool, read func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local jit = off"); err != nil {
			return fmt.Errorf("look: %w", err)
		}
		return read(tx)
	})
}

func (a *API) readStatus(ctx context.Context) (statusContent, error) {
	var c statusContent
	err := a.glance(ctx, func(tx pgx.Tx) error {
		standing, err := order.Stand(ctx, tx)
		if err != nil {
			return err
		}
		depths, err := queue.ListQueues(ctx, tx)
		if err != nil {
			return err
		}
		if c.Workers, err = queue.ListWorkers(ctx, tx, false, shownWorkers+1); err != nil {
			return err
		}
		failures, err := queue.ListFailures(ctx, tx, shownFailures)
		if err != nil {
			return err
		}
		schedules, err := periodic.List(ctx, tx, shownSchedules+1)
		if err != nil {
			return err
		}
		if c.Reports, err = listReportRows(ctx, tx, report.Filter{Limit: recentReports}); err != nil {
			return err
		}
		c.showOrders(standing)
		c.showQueues(depths)
		c.showWorkers()
		c.showFailures(failures)
		c.showSchedules(schedules)
		c.notice()
		return nil
	})
	return c, err
}

func (c *statusContent) showOrders(standing order.Standing) {
	for _, status := range []order.Status{order.StatusPlaced, order.StatusAwaitingStock, order.StatusProcessed, order.StatusRejected, order.StatusCancelled} {
		more := standing.More && status != order.StatusAwaitingStock
		c.Orders = append(c.Orders, statusCount{status, capped(standing.ByStatus[status], more)})
	}
	c.Partial = standing.More
}

func (c *statusContent) showQueues(depths []queue.Depth) {
	for _, depth := range depths {
		row := queueRow{Depth: depth}
		if depth.OldestAgeSeconds != nil {
			age := time.Duration(*depth.OldestAgeSeconds * float64(time.Second))
			row.Oldest = &age
		}
		c.Queues = append(c.Queues, row)
	}
}

// conditions in the order of how much they want to be seen.
var conditions = []string{"frozen", "silent", "stopping", "alive", "dead"}

func (c *statusContent) showWorkers() {
	if c.More = len(c.Workers) > shownWorkers; c.More {
		c.Workers = c.Workers[:shownWorkers]
	}
	slices.SortStableFunc(c.Workers, func(a, b queue.WorkerProcess) int {
		return cmp.Compare(slices.Index(conditions, a.Condition), slices.Index(conditions, b.Condition))
	})
}

func (c *statusContent) showFailures(failures []queue.Failure) {
	for _, f := range failures {
		c.Failures = append(c.Failures, failureRow{f, f.Jobs != fmt.Sprint(len(f.SampleJobIDs))})
	}
}

// notice says what wants attention, in sentences.
func (c *statusContent) notice() {
	condition := map[string]int{}
	for _, w := range c.Workers {
		condition[w.Condition]++
	}
	due := 0
	for _, q := range c.Queues {
		due += q.Available
		if q.PausedAt != nil {
			c.Notices = append(c.Notices, fmt.Sprintf("Queue %s is paused since %s.", q.Queue, stamp(*q.PausedAt)))
		}
	}
	switch {
	case condition["alive"] > 0:
	case due > 0:
		c.Notices = append(c.Notices, "Jobs are due and no worker process is alive. Start one: backoffice worker")
	default:
		c.Notices = append(c.Notices, "No worker process is alive. Start one: backoffice worker")
	}
	for _, what := range []string{"frozen", "silent"} {
		if n := condition[what]; n > 0 {
			c.Notices = append(c.Notices, few(n, "worker process is", "worker processes are")+" "+what+": no heartbeat for too long.")
		}
	}
	c.noticeSchedules(condition["alive"] > 0)
	given := 0
	for _, f := range c.Failures {
		if f.State == "discarded" {
			given++
		}
	}
	if given > 0 {
		c.Notices = append(c.Notices, "Jobs were given up for "+few(given, "cause", "causes")+"; see Failures.")
	}
}
