package bench

import (
	"context"
	"fmt"

	"github.com/riverqueue/river"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

var backlogScenario = Scenario{
	Name:    "backlog",
	Summary: "jobs per second, and the time of a fetch, with many jobs waiting, finished or of an unknown kind",
	Prepare: prepareBacklog,
}

const (
	// backlogDrained is how many jobs of a backlog are worked: few enough that millions stay millions.
	backlogDrained      = 50_000
	backlogDrainedQuick = 500
	// backlogShrink is by what a quick run divides what waits.
	backlogShrink = 1_000
)

// backlog is what a queue holds before the measurement.
type backlog struct {
	name     string
	unknown  int // jobs of a kind this build does not know, inserted first, so that they head the queue
	finished int // completed long ago
	waiting  int
}

// backlogUsual is what the others are compared with.
const backlogUsual = "100,000 waiting"

var backlogs = []backlog{
	{name: "10,000 waiting", waiting: 10_000},
	{name: backlogUsual, waiting: 100_000},
	{name: "1 million waiting", waiting: 1_000_000},
	{name: "5 million waiting", waiting: 5_000_000},
	{name: "100,000 of an unknown kind first", unknown: 100_000, waiting: 100_000},
	{name: "5 million finished", finished: 5_000_000, waiting: 100_000},
}

const jobsPerSecond = "jobs/s"

func prepareBacklog(ctx context.Context, lab *Lab) (*Plan, error) {
	plan := &Plan{}
	for _, b := range backlogs {
		b = b.within(lab.Settings)
		template, err := lab.Template(ctx, b.name, b.fill)
		if err != nil {
			return nil, err
		}
		drained := min(b.waiting, lab.Settings.Few(backlogDrained, backlogDrainedQuick))
		ones := lab.Settings.Few(fetchedOneByOne, fetchedOneByOneQuick)
		plan.Contestants = append(plan.Contestants, Contestant{
			Name: b.name, Template: template, Run: b.drains(ones, drained),
			Detail: fmt.Sprintf("of %s unknown, %s finished and %s waiting jobs %s are worked by a worker's client that does nothing",
				number(float64(b.unknown)), number(float64(b.finished)), number(float64(b.waiting)), number(float64(drained))),
		})
		if b.name == backlogUsual {
			continue
		}
		ratio := Ratio{What: "jobs, " + b.name, Of: b.name, Against: backlogUsual, Figure: jobsPerSecond}
		if b.waiting > drained { // else it is over so soon that start and stop count
			ratio.AtLeast, ratio.Aim = 0.9, 1
		}
		plan.Ratios = append(plan.Ratios, ratio)
	}
	return plan, nil
}

func (b backlog) within(s Settings) backlog {
	if s.Quick {
		b.unknown, b.finished, b.waiting = b.unknown/backlogShrink, b.finished/backlogShrink, b.waiting/backlogShrink
	}
	return b
}

// unknownArgs are of a kind that no worker of this build knows.
type unknownArgs struct {
	OrderID int64 `json:"order_id"`
}

func (unknownArgs) Kind() string { return "bench_unknown" }

func (unknownArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: jobs.QueueOrders} }

const insertFinishedSQL = `
insert /* bench.backlog */ into river_job
       (state, kind, args, queue, max_attempts, attempt, attempted_by, created_at, scheduled_at, attempted_at, finalized_at)
select 'completed', 'process_order', jsonb_build_object('order_id', n), 'orders', 10, 1, '{bench}', at, at, at, at
  from generate_series($1::bigint, $2::bigint) n,
       lateral (select now() - interval '12 hours' + n * interval '1 millisecond') clock (at)`

// fill inserts what waits as the import does: by COPY, with the unique key that the order's job has.
func (b backlog) fill(ctx context.Context, db *Database) error {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	insert := func(from, to int, job func(id int64) river.JobArgs) error {
		for first := from; first <= to; first += copyPerTx {
			params := make([]river.InsertManyParams, 0, copyPerTx)
			for id := first; id < min(to+1, first+copyPerTx); id++ {
				params = append(params, river.InsertManyParams{Args: job(int64(id))})
			}
			if _, err := inserter.InsertManyFast(ctx, params); err != nil {
				return fmt.Errorf("insert waiting jobs: %w", err)
			}
		}
		return nil
	}
	if _, err := db.Pool.Exec(ctx, insertFinishedSQL, 1, b.finished); err != nil {
		return fmt.Errorf("insert finished jobs: %w", err)
	}
	if err := insert(1, b.unknown, func(id int64) river.JobArgs { return unknownArgs{id} }); err != nil {
		return err
	}
	return insert(b.finished+1, b.finished+b.waiting, func(id int64) river.JobArgs { return jobs.ProcessOrderArgs{OrderID: id} })
}
