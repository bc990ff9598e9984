package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// probeWork does the work of one probe in the transaction of its group. An error is that of the whole
// transaction, one in the verdict that of the probe.
type probeWork func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (queue.Verdict, error)

// completed is a probe's work without any trouble.
func completed(context.Context, pgx.Tx, *river.Job[probeArgs]) (queue.Verdict, error) {
	return queue.Verdict{Outcome: queue.Completed()}, nil
}

// crowdConfig says how the probes of a crowd share transactions.
type crowdConfig struct {
	queue.GroupConfig               // 1000 jobs and one committer when zero
	pool              *pgxpool.Pool // of the transactions; the test's own when nil
	work              probeWork     // completed when nil
}

// crowd is a worker process whose probes share transactions, with one row of effects for each of them.
type crowd struct {
	*probeProcess
	pool  *pgxpool.Pool // of the test
	group *queue.Group[*river.Job[probeArgs]]
	work  probeWork

	plugged  chan struct{} // closed once the plug is in the work
	released chan struct{} // closed: the plug may go

	mu           sync.Mutex
	transactions [][]*river.Job[probeArgs] // that reached the work
	running      int                       // transactions in the work now
	most         int                       // at once, ever
	unsorted     bool                      // the jobs of one were not in the order of their ids
}

// plug is the probe that keeps a committer busy while others gather behind it.
const plug = -1

const crowdEffectsSQL = `create table effects (job_id bigint not null, attempt integer not null)`

// patientPool is like that of a worker process: what nobody waits for any more ends.
func patientPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), pgtest.URL(t), postgres.Options{ApplicationName: "crowd", MaxConns: 8, Settings: queue.SessionSettings()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func startCrowd(t *testing.T, cfg crowdConfig) *crowd {
	t.Helper()
	c := &crowd{pool: pgtest.Pool(t), work: cfg.work, plugged: make(chan struct{}), released: make(chan struct{})}
	exec(t, c.pool, crowdEffectsSQL)
	if cfg.GroupConfig == (queue.GroupConfig{}) {
		cfg.GroupConfig = queue.GroupConfig{Size: 1000, Committers: 1}
	}
	if cfg.pool == nil {
		cfg.pool = c.pool
	}
	if c.work == nil {
		c.work = completed
	}
	c.group = queue.NewGroup(cfg.pool, cfg.GroupConfig, c.try)
	c.probeProcess = newProbeProcess(t, c.pool, "crowd", 500, func(ctx context.Context, job *river.Job[probeArgs]) error {
		return c.group.Work(ctx, job.JobRow, job)
	})
	t.Cleanup(func() {
		c.stop()
		pgtest.Eventually(t, "every committer has ended", func() (bool, error) { return c.group.Committing() == 0, nil })
		if n := c.group.Waiting(); n != 0 {
			t.Errorf("%d jobs wait still", n)
		}
		if c.unsorted {
			t.Error("the jobs of a transaction were not in the order of their ids")
		}
	})
	return c
}

// try is the work of the group.
func (c *crowd) try(ctx context.Context, tx *queue.GroupTx, jobs []*river.Job[probeArgs], _ error) ([]queue.Verdict, error) {
	if jobs[0].Args.N == plug {
		close(c.plugged)
		select {
		case <-c.released:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return []queue.Verdict{{Outcome: queue.Completed()}}, nil
	}
	c.enter(jobs)
	defer c.exit()
	verdicts := make([]queue.Verdict, 0, len(jobs))
	for _, job := range jobs {
		verdict, err := c.work(ctx, tx, job)
		if err != nil {
			return nil, err
		}
		if verdict.Err == nil {
			if _, err := tx.Exec(ctx, `insert into effects values ($1, $2)`, job.ID, job.Attempt); err != nil {
				return nil, err
			}
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, nil
}

func (c *crowd) enter(jobs []*river.Job[probeArgs]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transactions = append(c.transactions, slices.Clone(jobs))
	c.running++
	c.most = max(c.most, c.running)
	c.unsorted = c.unsorted || !slices.IsSortedFunc(jobs, func(a, b *river.Job[probeArgs]) int { return cmp.Compare(a.ID, b.ID) })
}

func (c *crowd) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

// tried answers the transactions whose jobs were all at their first attempt.
func (c *crowd) tried() (first [][]*river.Job[probeArgs]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, jobs := range c.transactions {
		if !slices.ContainsFunc(jobs, func(job *river.Job[probeArgs]) bool { return job.Attempt > 1 }) {
			first = append(first, jobs)
		}
	}
	return first
}

// gather enqueues probes and waits until all of them are in the group, which takes none before release
// is called: then they share a transaction.
func (c *crowd) gather(t *testing.T, probes ...probeArgs) (ids []int64, release func()) {
	t.Helper()
	insertProbe(t, c.pool, plug)
	<-c.plugged
	ids = insertProbes(t, c.pool, probes...)
	c.waits(t, len(ids))
	release = sync.OnceFunc(func() { close(c.released) })
	t.Cleanup(release)
	return ids, release
}

// waits waits until n jobs wait for a committer.
func (c *crowd) waits(t *testing.T, n int) {
	t.Helper()
	pgtest.Eventually(t, fmt.Sprintf("%d jobs wait for a committer", n), func() (bool, error) { return c.group.Waiting() == n, nil })
}

// unharmed waits until the jobs are final and fails the test unless they have completed at their first
// attempt, without an error and with one effect each.
func (c *crowd) unharmed(t *testing.T, ids ...int64) {
	t.Helper()
	pgtest.Eventually(t, fmt.Sprintf("all %d are final", len(ids)), func() (bool, error) {
		return count(t, c.pool, `select count(*) from river_job where id = any($1) and finalized_at is null`, ids) == 0, nil
	})
	if n := count(t, c.pool, `select count(*) from river_job where id = any($1) and state = 'completed' and attempt = 1 and coalesce(cardinality(errors), 0) = 0`, ids); n != len(ids) {
		t.Errorf("%d of %d have completed at their first attempt without an error", n, len(ids))
	}
	c.effects(t, 1, ids...)
}

// effects fails the test unless each of the jobs has n effects.
func (c *crowd) effects(t *testing.T, n int, ids ...int64) {
	t.Helper()
	const sql = `select count(*) from unnest($1::bigint[]) as job (id) where (select count(*) from effects where job_id = id) <> $2`
	if wrong := count(t, c.pool, sql, ids, n); wrong != 0 {
		t.Errorf("%d of %d jobs have not exactly %d effects", wrong, len(ids), n)
	}
}

// but answers the ids without some.
func but(ids []int64, without ...int64) []int64 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(without, id) })
}
