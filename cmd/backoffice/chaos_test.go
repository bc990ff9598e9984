package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// The long form, with the limits of production, takes four minutes:
//
//	BACKOFFICE_LONG=1 go test ./cmd/backoffice -run Chaos -v
//
// BACKOFFICE_SEED draws other orders and other faults, in both forms.
var (
	chaosLong = os.Getenv("BACKOFFICE_LONG") != "" // both read before TestMain takes the settings away
	chaosSeed = os.Getenv("BACKOFFICE_SEED")
)

// chaosForm is how much of it there is.
type chaosForm struct {
	orders    int
	perSecond int
	every     time.Duration // between two faults, on average
	fewest    int           // faults that make it worth the name
	liveness  queue.Liveness
	seed      uint64
}

func chaosFormOf(t *testing.T) chaosForm {
	t.Helper()
	f := chaosForm{orders: 2_000, perSecond: 100, every: 700 * time.Millisecond, fewest: 10, seed: 1,
		liveness: queue.Liveness{Beat: 200 * time.Millisecond, SelfLimit: time.Second, DeadAfter: 2 * time.Second}}
	if chaosLong {
		f = chaosForm{orders: 20_000, perSecond: 100, every: 2 * time.Second, fewest: 80, seed: 1, liveness: queue.DefaultLiveness}
	}
	if chaosSeed != "" {
		seed, err := strconv.ParseUint(chaosSeed, 10, 64)
		if err != nil {
			t.Fatalf("BACKOFFICE_SEED: %v", err)
		}
		f.seed = seed
	}
	return f
}

// crew is of three, on programs of the given kind.
func (f chaosForm) crew(s shop, program func(args ...string) *exec.Cmd) *crew {
	return &crew{
		program: program, pool: s.pool, url: s.url, size: 3, every: f.every, deadAfter: f.liveness.DeadAfter,
		flags: []string{"--max-crash-rescues", "20", "--hard-stop", "5s",
			"--heartbeat", f.liveness.Beat.String(), "--self-limit", f.liveness.SelfLimit.String(), "--dead-after", f.liveness.DeadAfter.String()},
	}
}

func TestChaosLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	form := chaosFormOf(t)
	s := newShop(t)
	s.slowDown()
	arrivals := newArrivals(s, form)
	c := form.crew(s, func(args ...string) *exec.Cmd { return process(t, args...) })
	c.start(t.Context(), form.seed)
	counted := s.rage(c, func() { arrivals.run(form.orders, nil) })
	t.Cleanup(s.logUnfinished)

	s.awaitJobs()
	pgtest.Eventually(t, "every dead process is declared dead", func() (bool, error) {
		return s.number(`select count(*) from worker_processes where declared_dead_at is null`) == c.size, c.trouble()
	})
	ended, err := c.finish()
	if err != nil {
		t.Error(err)
	}
	t.Logf("seed %d, faults %s, processes declared dead %d, ended without a fault %d %q", form.seed, tell(counted),
		s.number(`select count(*) from worker_processes where declared_dead_at is not null`), len(ended), ended)
	s.logChaos()

	s.conserves()
	s.text("verify")
	for what, sql := range map[string]string{
		"orders are neither processed, nor waiting, nor rejected": `select count(*) from orders where status not in ('processed', 'awaiting_stock', 'rejected')`,
		"orders wait without a reason":                            `select count(*) from orders o where status = 'awaiting_stock' and not exists (select from order_waits w where w.order_id = o.id)`,
		"orders were rejected that should not":                    `select count(*) from orders where status = 'rejected' and (kind <> 'adjustment' or reason not like '%writes off%')`,
		"jobs were discarded":                                     `select count(*) from river_job where state = 'discarded'`,
		"worker processes are registered still":                   `select count(*) from worker_processes where declared_dead_at is null`,
		"sessions of worker processes are left":                   `select count(*) from pg_stat_activity where application_name in (select client_id from worker_processes)`,
	} {
		if n := s.number(sql); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	if n := s.number(`select count(*) from orders`); n != form.orders {
		t.Errorf("%d orders, want %d", n, form.orders)
	}
	for _, kind := range faults {
		if counted[kind] == 0 {
			t.Errorf("no process was %s", kind)
		}
	}
	if total := counted[faultKill] + counted[faultFreeze] + counted[faultStutter]; total < form.fewest {
		t.Errorf("%d faults, want %d at least", total, form.fewest)
	}
}

// rage lets faults befall the crew for as long as orders arrive, until the last is over, and counts them.
func (s shop) rage(c *crew, arrive func()) (counted map[fault]int) {
	s.t.Helper()
	raging, calm := context.WithCancel(s.t.Context())
	defer calm()
	var faults sync.WaitGroup
	faults.Go(func() { counted = c.harm(raging) })
	arrive()
	calm()
	faults.Wait()
	pgtest.Eventually(s.t, "no process is frozen", func() (bool, error) { return !c.freezing.Load(), nil })
	return counted
}

// awaitJobs waits until every job has ended. Those that were running in two deaths are tried one after the other,
// for up to five minutes when there are many: as long as they end, all is well.
func (s shop) awaitJobs() {
	s.t.Helper()
	unfinished := func() int {
		return s.number(`select count(*) from river_job where kind = 'process_order' and state not in ('completed', 'cancelled', 'discarded')`)
	}
	for left := unfinished(); left > 0; {
		pgtest.Eventually(s.t, fmt.Sprintf("one more of %d jobs has ended", left), func() (bool, error) { return unfinished() < left, nil })
		left = unfinished()
	}
}

// slowDown makes a transaction of orders last, its effects written and not yet committed, so that
// faults find some at that point: on a quick machine they would mostly hit idle processes.
func (s shop) slowDown() {
	s.t.Helper()
	s.exec(`create function last_a_while() returns trigger language plpgsql as 'begin perform pg_sleep(random() * 0.06); return null; end'`)
	s.exec(`create trigger last_a_while after insert on order_effects for each statement execute function last_a_while()`)
}

// logUnfinished tells of jobs that have not ended, and of who might work them, when the test has failed.
func (s shop) logUnfinished() {
	if !s.t.Failed() {
		return
	}
	for what, sql := range map[string]string{
		"unfinished":       `select * from river_job where state not in ('completed', 'cancelled', 'discarded') order by id limit 5`,
		"worker processes": `select * from worker_processes order by started_at desc limit 5`,
		"sessions":         `select pid, application_name, state, wait_event_type, wait_event, xact_start, query from pg_stat_activity where datname = current_database() limit 20`,
	} {
		var told string
		err := s.pool.QueryRow(context.Background(), `select now() || ' ' || coalesce(string_agg(to_jsonb(x)::text, E'\n'), 'none') from (`+sql+`) x`).Scan(&told)
		s.t.Logf("%s: %s %v", what, told, err)
	}
}

// logChaos tells what became of the orders, and how long the jobs took that a death had interrupted.
func (s shop) logChaos() {
	s.t.Helper()
	const sql = `
select format('orders %s: %s processed, %s awaiting stock, %s rejected; jobs taken back %s times, %s jobs; discarded %s; ' ||
              'from order to end %s s at most, of jobs taken back %s s at p50, %s s at p99',
              (select count(*) from orders),
              (select count(*) from orders where status = 'processed'),
              (select count(*) from orders where status = 'awaiting_stock'),
              (select count(*) from orders where status = 'rejected'),
              (select coalesce(sum(crash_count), 0) from job_crashes),
              (select count(*) from job_crashes),
              (select count(*) from river_job where state = 'discarded'),
              round(max(took), 1),
              round(percentile_disc(0.5) within group (order by took) filter (where crashed), 1),
              round(percentile_disc(0.99) within group (order by took) filter (where crashed), 1))
  from (select extract(epoch from finalized_at - created_at) as took, id in (select job_id from job_crashes) as crashed
          from river_job
         where kind = 'process_order') jobs`
	var told string
	if err := s.pool.QueryRow(s.t.Context(), sql).Scan(&told); err != nil {
		s.t.Fatal(err)
	}
	s.t.Log(told)
}

// arrivals are orders and deliveries that come in while others work.
type arrivals struct {
	shop
	inserter  *river.Client[pgx.Tx]
	random    *rand.Rand
	perSecond int
}

const chaosProducts = 40 // that are tracked

// newArrivals opens the shop with less stock than will be asked for.
func newArrivals(s shop, form chaosForm) *arrivals {
	s.t.Helper()
	a := &arrivals{shop: s, random: rand.New(rand.NewPCG(form.seed, 1<<32)), perSecond: form.perSecond}
	var err error
	if a.inserter, err = queue.NewInserter(s.pool); err != nil {
		s.t.Fatal(err)
	}
	a.tx("open the shop", func(ctx context.Context, tx pgx.Tx) error {
		for i := range chaosProducts {
			if err := order.Track(ctx, tx, trackedSKU(i), "", form.orders/chaosProducts, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	return a
}

func trackedSKU(i int) string { return fmt.Sprintf("TRACKED-%02d", i) }

func (a *arrivals) tx(what string, work func(context.Context, pgx.Tx) error) {
	a.t.Helper()
	ctx := a.t.Context()
	if err := postgres.InTx(ctx, a.pool, func(tx pgx.Tx) error { return work(ctx, tx) }); err != nil {
		a.t.Fatalf("%s: %v", what, err)
	}
}

// run places orders at the rate, those that are due in one transaction, until there are n or enough,
// asked now and then, says so.
func (a *arrivals) run(n int, enough func() bool) {
	a.t.Helper()
	beat := time.NewTicker(time.Second / time.Duration(a.perSecond))
	defer beat.Stop()
	begun := time.Now()
	for placed := 0; placed < n; <-beat.C {
		due := min(n, 1+int(time.Since(begun).Seconds()*float64(a.perSecond)))
		before := placed
		var drafts []order.Draft
		for ; placed < due; placed++ {
			drafts = append(drafts, a.draft(placed))
		}
		a.tx("place", func(ctx context.Context, tx pgx.Tx) error {
			_, err := order.Place(ctx, tx, a.inserter, drafts...)
			return err
		})
		if placed/100 > before/100 {
			a.deliver()
		}
		if placed/50 > before/50 && enough != nil && enough() {
			return
		}
	}
}

// deliver brings a product in, so that waiting orders go on.
func (a *arrivals) deliver() {
	a.t.Helper()
	sku := trackedSKU(a.random.IntN(chaosProducts))
	a.tx("receive", func(ctx context.Context, tx pgx.Tx) error {
		_, _, err := order.Receive(ctx, tx, a.inserter, sku, 20, time.Now())
		return err
	})
}

// draft is a sale of one to four lines, now and then a return, or a write-off of more than there is.
func (a *arrivals) draft(n int) order.Draft {
	d := order.Draft{Number: fmt.Sprintf("CHAOS-%05d", n), Customer: fmt.Sprintf("C-%03d", a.random.IntN(500)), Country: "EIRE"}
	sign := 1
	switch {
	case n%200 == 99:
		d.Kind = order.KindAdjustment
		d.Lines = []order.Line{{SKU: trackedSKU(n % chaosProducts), Quantity: -1_000_000}}
		return d
	case n%20 == 7:
		d.Kind, sign = order.KindCredit, -1
	}
	for range 1 + a.random.IntN(4) {
		line := order.Line{SKU: fmt.Sprintf("LOOSE-%02d", a.random.IntN(60)), Quantity: sign * (1 + a.random.IntN(5)),
			UnitPrice: decimal.New(1+a.random.Int64N(9_999), -2)}
		if a.random.IntN(4) == 0 {
			line.SKU = trackedSKU(a.random.IntN(chaosProducts))
		}
		d.Lines = append(d.Lines, line)
	}
	return d
}

// tell writes what a count holds, most frequent first.
func tell[K ~string](count map[K]int) string {
	var keys []K
	total := 0
	for key, n := range count {
		keys = append(keys, key)
		total += n
	}
	slices.SortFunc(keys, func(a, b K) int { return count[b] - count[a] })
	text := fmt.Sprintf("%d", total)
	for i, key := range keys {
		text += fmt.Sprintf("%s%d %s", []string{": ", ", "}[min(i, 1)], count[key], key)
	}
	return text
}
