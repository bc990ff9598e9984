package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/jobs"
)

var mixedScenario = Scenario{
	Name:    "mixed",
	Summary: "pickup of orders that arrive at a steady rate while the same process exports order lines, one export after another",
	Prepare: prepareMixed,
}

const (
	aloneName  = "orders alone"
	besideName = "orders beside exports"
	pickupName = "limit of pickup"

	mixedRate = 200 // orders per second
)

func prepareMixed(ctx context.Context, lab *Lab) (*Plan, error) {
	template, err := lab.lines(ctx)
	if err != nil {
		return nil, err
	}
	limits := Figures{pickupP99: 25, longestSnapshot: 10}
	return &Plan{
		Contestants: []Contestant{
			{Name: aloneName, Template: template, Run: lab.runMixed(false), Detail: fmt.Sprintf("%d orders a second for %s, one worker process", mixedRate, latencyMeasured)},
			{Name: besideName, Template: template, Run: lab.runMixed(true), Detail: "the same while its process makes order-lines as csv into files all the time"},
			limited(pickupName, limits),
		},
		Ratios: []Ratio{
			{What: "room below 25 ms (this, or twice as long as alone)", Of: besideName, Against: pickupName, Figure: pickupP99, LowerIsBetter: true, AtLeast: 1},
			{What: "next to alone", Of: besideName, Against: aloneName, Figure: pickupP99, LowerIsBetter: true},
			{What: "room below the limit of " + longestSnapshot, Of: besideName, Against: pickupName, Figure: longestSnapshot, LowerIsBetter: true, AtLeast: 1},
		},
	}, nil
}

// runMixed measures latency with or without exports beside it.
func (l *Lab) runMixed(beside bool) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (figures Figures, err error) {
		dir, err := os.MkdirTemp(l.Dir(), "artifacts-")
		if err != nil {
			return nil, fmt.Errorf("make a directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		x := &exporter{db: db, jobs: map[int64]bool{}}
		start := func(ctx context.Context, db *Database, told func(passage)) (stop func() error, err error) {
			worker, err := l.startLasting(ctx, db, x.without(told), append(workerArgs, "--queue", "reports=1", "--store", "file://"+dir)...)
			if err != nil {
				return nil, err
			}
			stopExports := func() error { return nil }
			if beside {
				stopExports = x.start(ctx)
			}
			return func() error { return errors.Join(stopExports(), worker.stop()) }, nil
		}
		watched := watchSnapshots(ctx, db)
		figures, err = l.runLatency(mixedRate, contender{start: start, inserter: queue.NewInserter})(ctx, db)
		longest, blind := watched()
		if err = errors.Join(err, blind); err != nil {
			return nil, err
		}
		if beside {
			figures["exports"], figures[rowsPerSecond], figures[longestSnapshot] = float64(x.made), float64(x.rows)/x.took.Seconds(), longest.Seconds()
			if x.made == 0 {
				return nil, errors.New("no export was made meanwhile")
			}
		}
		return figures, checkSound(ctx, db)
	}
}

// exporter asks for one export after another.
type exporter struct {
	db *Database

	mu   sync.Mutex
	jobs map[int64]bool // of its exports: no orders

	made int
	rows int64
	took time.Duration
}

// without tells of all jobs but those of exports.
func (x *exporter) without(told func(passage)) func(passage) {
	return func(p passage) {
		x.mu.Lock()
		mine := x.jobs[p.jobID]
		x.mu.Unlock()
		if !mine {
			told(p)
		}
	}
}

// start exports until the function it answers is called, which waits for the last export.
func (x *exporter) start(ctx context.Context) (stop func() error) {
	enough := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		for {
			select {
			case <-enough:
				ended <- nil
				return
			default:
			}
			if err := x.export(ctx); err != nil {
				ended <- fmt.Errorf("export beside orders: %w", err)
				return
			}
		}
	}()
	return func() error {
		close(enough)
		return <-ended
	}
}

// export has one export made. The job is known as an export's before anybody can work it.
func (x *exporter) export(ctx context.Context) error {
	inserter, err := queue.NewInserter(x.db.Pool)
	if err != nil {
		return err
	}
	var asked report.Requested
	err = postgres.InTx(ctx, x.db.Pool, func(tx pgx.Tx) (err error) {
		asked, err = report.Request(ctx, tx, inserter, jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Force: true}, time.Now())
		x.mu.Lock()
		x.jobs[asked.Report.JobID] = true
		x.mu.Unlock()
		return err
	})
	if err != nil {
		return err
	}
	made, err := awaitReport(ctx, x.db, asked.Report.ID)
	if err != nil {
		return err
	}
	x.made, x.rows, x.took = x.made+1, x.rows+made.Rows, x.took+made.Artifact.Took
	return nil
}
