package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

var latencyScenario = Scenario{
	Name:    "latency",
	Summary: "place orders at random times and see how soon each is begun (pickup) and committed",
	Prepare: prepareLatency,
}

const (
	oneTxName    = "one transaction per order"
	defaultsName = "River's defaults"

	pickupP99 = "pickup p99 ms"
	commitP99 = "commit p99 ms"

	judgedRate = 300 // orders per second of the ratios that something is asked of
)

func prepareLatency(ctx context.Context, lab *Lab) (*Plan, error) {
	template, err := lab.Template(ctx, "history", lab.fillHistory)
	if err != nil {
		return nil, err
	}
	plan := &Plan{}
	for _, rate := range lab.Settings.Rates {
		at := func(name string) string { return fmt.Sprintf("%s, %s/s", name, number(rate)) }
		plan.Contestants = append(plan.Contestants,
			Contestant{Name: at(productName), Template: template, Run: lab.runLatency(rate, contender{lab.startProduct, queue.NewInserter, true}),
				Detail: "one worker process; its log says when it began and had committed each job"},
			Contestant{Name: at(oneTxName), Template: template, Run: lab.runLatency(rate, contender{startOneTx, queue.NewInserter, true}),
				Detail: "the same fence and effects without group commit, in this process"},
			Contestant{Name: at(defaultsName), Template: template, Run: lab.runLatency(rate, contender{startDefaults, defaultInserter, false}),
				Detail: fmt.Sprintf("stock River with its default settings on both sides, %d workers that do nothing", defaultWorkers)})
		commit := Ratio{What: "insert to commit, group commit", Of: at(productName), Against: at(oneTxName), Figure: commitP99, LowerIsBetter: true}
		pickup := Ratio{What: "pickup, River's defaults", Of: at(productName), Against: at(defaultsName), Figure: pickupP99, LowerIsBetter: true}
		if rate == judgedRate {
			commit.AtLeast, pickup.AtLeast, pickup.Aim = 1, 10, 20
		}
		plan.Ratios = append(plan.Ratios, commit, pickup)
	}
	return plan, nil
}

// latencyHistory is how many orders the shop has processed before. On tables that are all but empty the
// server plans to read them whole and keeps to that plan while they grow, until it analyses them again:
// that would be measured, and not the latency of a shop at work.
const latencyHistory = 20_000

// fillHistory stores orders and processes them.
func (l *Lab) fillHistory(ctx context.Context, db *Database) error {
	if err := fillOrders(ctx, db, l.Settings.Few(latencyHistory, 400)); err != nil {
		return err
	}
	orders, err := listPlain(ctx, db)
	if err != nil {
		return err
	}
	_, err = runPlain(ctx, db.URL, orders, l.Settings.MostConnections())
	return err
}

// contender is who takes up the orders of the latency scenario.
type contender struct {
	start     func(ctx context.Context, db *Database, report func(passage)) (stop func() error, err error)
	inserter  func(pool *pgxpool.Pool) (*river.Client[pgx.Tx], error)
	processes bool // it processes the orders; the others only take the jobs
}

// passage is the way of one job.
type passage struct {
	jobID     int64
	begun     time.Time
	committed time.Time // zero where nothing is
}

const (
	latencyWarmUp    = 50               // orders that come first and are not counted
	latencyMeasured  = 20 * time.Second // for how long orders are placed
	latencyQuick     = time.Second
	latencyGiveUp    = time.Minute // after the last order was placed
	latencyWarmSpeed = 100         // orders per second of the warm-up
)

func (l *Lab) runLatency(rate float64, c contender) func(context.Context, *Database) (Figures, error) {
	measured := latencyMeasured
	if l.Settings.Quick {
		measured = latencyQuick
	}
	return func(ctx context.Context, db *Database) (Figures, error) {
		inserter, err := c.inserter(db.Pool)
		if err != nil {
			return nil, err
		}
		passages := newGathering()
		stop, err := c.start(ctx, db, passages.add)
		if err != nil {
			return nil, err
		}
		place := placer(ctx, db, inserter)
		_, failed := arrive(latencyWarmUp, latencyWarmSpeed, place)
		var placed []placing
		if failed == nil {
			if failed = passages.await(ctx, latencyWarmUp); failed == nil {
				placed, failed = arrive(max(1, int(rate*measured.Seconds())), rate, place)
			}
		}
		if failed == nil {
			failed = passages.await(ctx, latencyWarmUp+len(placed))
		}
		if err := errors.Join(failed, stop()); err != nil {
			return nil, err
		}
		return latencyFigures(ctx, db, placed, passages.byJob, c.processes)
	}
}

// placing is an order and when its commit was asked for: the soonest moment a job can be seen.
type placing struct {
	orderID int64
	at      time.Time
}

// placer answers what places one generated order in a transaction of its own.
func placer(ctx context.Context, db *Database, inserter jobs.Enqueuer) func() (placing, error) {
	generated := newGenerator(generateSeed + 1)
	generated.count = latencyHistory // go on where the history ends
	var mu sync.Mutex
	return func() (placing, error) {
		mu.Lock()
		draft := generated.draft()
		mu.Unlock()
		tx, err := db.Pool.Begin(ctx)
		if err != nil {
			return placing{}, fmt.Errorf("place order %s: %w", draft.Number, err)
		}
		defer tx.Rollback(context.WithoutCancel(ctx))
		orders, err := order.Place(ctx, tx, inserter, draft)
		if err != nil {
			return placing{}, err
		}
		placed := placing{orderID: orders[0].ID, at: time.Now()}
		return placed, tx.Commit(ctx)
	}
}

// arrive calls place count times at random moments (a Poisson process), so that a slow one delays none
// after it, and returns when all have returned.
func arrive(count int, perSecond float64, place func() (placing, error)) ([]placing, error) {
	random := rand.New(rand.NewPCG(generateSeed, uint64(count)))
	placed, errs := make([]placing, count), make([]error, count)
	var all sync.WaitGroup
	due := time.Now()
	for n := range count {
		due = due.Add(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)))
		<-time.After(time.Until(due))
		all.Go(func() { placed[n], errs[n] = place() })
	}
	all.Wait()
	return placed, errors.Join(errs...)
}

// gathering collects the passages of jobs as they are reported.
type gathering struct {
	mu    sync.Mutex
	byJob map[int64]passage
	grown chan struct{} // holds an element when byJob has grown since the last look
}

func newGathering() *gathering {
	return &gathering{byJob: map[int64]passage{}, grown: make(chan struct{}, 1)}
}

func (g *gathering) add(p passage) {
	g.mu.Lock()
	g.byJob[p.jobID] = p
	g.mu.Unlock()
	select {
	case g.grown <- struct{}{}:
	default:
	}
}

// await returns when count jobs have been reported.
func (g *gathering) await(ctx context.Context, count int) error {
	giveUp := time.After(latencyGiveUp)
	for {
		g.mu.Lock()
		have := len(g.byJob)
		g.mu.Unlock()
		if have >= count {
			return nil
		}
		select {
		case <-g.grown:
		case <-ctx.Done():
			return ctx.Err()
		case <-giveUp:
			return fmt.Errorf("of %d jobs %d were worked %s after the last was placed", count, have, latencyGiveUp)
		}
	}
}

const jobsOfOrdersSQL = `
select /* bench.jobsOfOrders */ (args ->> 'order_id')::bigint, id
  from river_job
 where kind = 'process_order'`

// latencyFigures joins what was placed with what was worked, and checks that nothing was left or broken.
func latencyFigures(ctx context.Context, db *Database, placed []placing, worked map[int64]passage, processes bool) (Figures, error) {
	rows, err := db.Pool.Query(ctx, jobsOfOrdersSQL)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	jobOf := map[int64]int64{}
	var orderID, jobID int64
	if _, err := pgx.ForEachRow(rows, []any{&orderID, &jobID}, func() error { jobOf[orderID] = jobID; return nil }); err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var pickup, commit durations
	for _, p := range placed {
		way, ok := worked[jobOf[p.orderID]]
		if !ok {
			return nil, fmt.Errorf("order %d was placed and its job %d never worked", p.orderID, jobOf[p.orderID])
		}
		pickup = append(pickup, way.begun.Sub(p.at))
		if !way.committed.IsZero() {
			commit = append(commit, way.committed.Sub(p.at))
		}
	}
	figures := Figures{}
	pickup.figuresTo(figures, "pickup")
	commit.figuresTo(figures, "commit")
	if !processes {
		return figures, nil
	}
	return figures, (&audit{}).check(ctx, db)
}

// defaultInserter is a stock inserting client with River's default settings.
func defaultInserter(pool *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(pool), &river.Config{})
}
