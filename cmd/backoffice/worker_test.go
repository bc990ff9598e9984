package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/verify"
)

func TestWorkerRefusesSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, tc := range []struct {
		args  string
		code  int
		words []string
	}{
		{"--queue ordres=3", exitUsage, []string{`--queue "ordres"`, "known are maintenance, orders"}},
		{"--queue orders=0", exitUsage, []string{"--queue orders", "from 1 to 10000"}},
		{"--queue orders=many", exitUsage, []string{"--queue orders", `"many"`}},
		{"--queue orders --queue orders=3", exitUsage, []string{"--queue orders is given twice"}},
		{"--queue orders=10 --pool-size 7", exitUsage, []string{"--pool-size 7 is below 8 (--committers 2 for orders, plus 6)"}},
		{"--queue maintenance=10 --pool-size 15", exitUsage, []string{"--pool-size 15 is below 16 (--queue maintenance=10, plus 6)"}},
		{"--committers 5000 --queue orders=8000", exitFailed, []string{"--pool-size 5006, plus 1 for the heartbeat, exceeds", "max_connections"}},
		{"--committers 0", exitUsage, []string{"--committers 0", "at least 1"}},
		{"--group-size 0", exitUsage, []string{"--group-size 0 is outside 1 to 2000"}},
		{"--group-wait 2s", exitUsage, []string{"--group-wait 2s is outside 0 to 1s"}},
		{"--rescue-after 1m", exitUsage, []string{"--rescue-after 1m0s must exceed"}},
		{"--soft-stop 0s", exitUsage, []string{"--soft-stop 0s"}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			refused(t, s.try(append([]string{"worker"}, strings.Fields(tc.args)...)...), tc.code, tc.words...)
		})
	}
}

// fill places the sample orders with their stock.
func (s shop) fill(n int) {
	s.t.Helper()
	inserter, err := queue.NewInserter(s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx := s.t.Context()
	err = postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		for _, product := range order.SampleProducts() {
			if product.OnHand == nil {
				continue
			}
			if err := order.Track(ctx, tx, product.SKU, product.Description, *product.OnHand, pgtest.Noon); err != nil {
				return err
			}
		}
		_, err := order.Place(ctx, tx, inserter, order.Sample(n, 1, pgtest.Noon)...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// number is the only value of a query.
func (s shop) number(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// conserves checks every rule that holds whatever is killed when.
func (s shop) conserves() {
	s.t.Helper()
	results, err := verify.Run(s.t.Context(), s.pool, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, result := range results {
		if result.Offenders > 0 {
			s.t.Errorf("%s: %d offenders, such as %+v", result.Check.Name, result.Offenders, result.Shown)
		}
	}
}

// startWorkers starts worker processes that tell their client ids in the job table.
func (s shop) startWorkers(n int, args ...string) []*exec.Cmd {
	s.t.Helper()
	workers := make([]*exec.Cmd, n)
	for i := range workers {
		workers[i] = process(s.t, append([]string{"worker", "--database-url", s.url, "--log-level", "error"}, args...)...)
		if err := workers[i].Start(); err != nil {
			s.t.Fatal(err)
		}
	}
	return workers
}

// kill ends worker processes with SIGKILL and answers patterns of their client ids.
func (s shop) kill(workers []*exec.Cmd) (clientIDs []string) {
	s.t.Helper()
	for _, worker := range workers {
		if err := worker.Process.Kill(); err != nil {
			s.t.Fatal(err)
		}
		_ = worker.Wait() // it was killed
		clientIDs = append(clientIDs, fmt.Sprintf("%%-%d-%%", worker.Process.Pid))
	}
	return clientIDs
}

func TestKilledWorkersLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const orders = 600
	s := newShop(t)
	s.fill(orders)
	workers := s.startWorkers(4, "--queue", "orders=4")
	finished := `select count(*) from river_job where state in ('completed', 'cancelled')`
	pgtest.Eventually(t, "some orders are processed", func() (bool, error) { return s.number(finished) > orders/10, nil })
	dead := s.kill(workers[:2])
	if s.number(finished) >= orders {
		t.Fatal("nothing was left to do when the workers were killed")
	}
	pgtest.Eventually(t, "every job is final, or running under a dead worker", func() (bool, error) {
		return s.number(`
			select count(*)
			  from river_job
			 where kind = 'process_order'
			   and state not in ('completed', 'cancelled')
			   and not (state = 'running' and attempted_by[array_upper(attempted_by, 1)] like any($1))`, dead) == 0, nil
	})
	s.conserves()

	// What the dead left behind is taken back, as a rescue would, and comes to its end.
	s.exec(`update river_job set state = 'available' where state = 'running'`)
	pgtest.Eventually(t, "every job is final", func() (bool, error) {
		return s.number(`select count(*) from river_job where kind = 'process_order' and state not in ('completed', 'cancelled')`) == 0, nil
	})
	s.conserves()
	if n := s.number(`select count(*) from orders where status = 'placed'`); n != 0 {
		t.Errorf("%d orders were never processed", n)
	}

	// Stock comes in: every waiting order goes out.
	for _, product := range order.SampleProducts() {
		if product.OnHand != nil {
			s.text("products", "receive", product.SKU, "100000")
		}
	}
	pgtest.Eventually(t, "no order waits", func() (bool, error) {
		return s.number(`select count(*) from orders where status not in ('processed', 'rejected')`) == 0, nil
	})
	s.conserves()
}

func TestRunningAllAgainChangesNoRow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(60)
	s.text("worker", "--once")
	var tables []string
	for _, table := range []string{"orders", "order_lines", "products", "order_effects", "order_transitions", "stock_movements", "ledger_entries"} {
		tables = append(tables, fmt.Sprintf(`select '%s' || t.ctid || t.xmin as version from %s t`, table, table))
	}
	versions := func() (digest string) {
		sql := `select md5(string_agg(version, ',' order by version)) from (` + strings.Join(tables, " union all ") + `) v`
		if err := s.pool.QueryRow(t.Context(), sql).Scan(&digest); err != nil {
			t.Fatal(err)
		}
		return digest
	}
	before := versions()
	final := s.number(`select count(*) from orders where status in ('processed', 'rejected')`)
	s.exec(`update river_job set state = 'available', finalized_at = null
	         where args ->> 'order_id' in (select id::text from orders where status in ('processed', 'rejected'))`)
	var again struct {
		Completed int `json:"completed"`
		Cancelled int `json:"cancelled"`
	}
	s.json(&again, "worker", "--once")
	if again.Completed+again.Cancelled != final {
		t.Errorf("%+v jobs ran again, want %d", again, final)
	}
	if versions() != before {
		t.Error("running the jobs of final orders again changed a row")
	}
}

func TestClientIDIsShortASCII(t *testing.T) {
	t.Parallel()
	id := newClientID()
	if len(id) > 40 || slices.ContainsFunc([]byte(id), func(b byte) bool { return b <= ' ' || b > '~' }) {
		t.Errorf("client id %q is not at most 40 printable ASCII bytes", id)
	}
	if other := newClientID(); other == id {
		t.Errorf("two client ids are both %q", id)
	}
}
