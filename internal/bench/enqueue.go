package bench

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

var enqueueScenario = Scenario{
	Name:    "enqueue",
	Summary: "jobs inserted per second, one by one and in bulk, next to raw COPY of the same rows",
	Prepare: prepareEnqueue,
}

const (
	manyPerTx = 1_000 // jobs of one InsertMany
	copyPerTx = 5_000 // jobs of one COPY, as River's own benchmark has it
)

// prepareEnqueue measures bulk inserts over four times the orders, because they are fast, and single
// ones over a fifth.
func prepareEnqueue(ctx context.Context, lab *Lab) (*Plan, error) {
	bulk, single := 4*lab.Settings.Orders, max(lab.Settings.Orders/5, 1)
	empty, err := lab.empty(ctx)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Contestants: []Contestant{
		{Name: "insert", Detail: "InsertTx, one job in a transaction, 1 connection", Template: empty, Run: enqueues(single, 1, 1, insertOne)},
		{Name: "insert many", Detail: "InsertManyTx, 1,000 jobs in a transaction, 1 connection", Template: empty, Run: enqueues(bulk, 1, manyPerTx, insertMany)},
	}}
	for _, connections := range []int{1, 2} {
		rows, err := rawJobs(ctx, lab, bulk, connections)
		if err != nil {
			return nil, err
		}
		ours, floor := fmt.Sprintf("copy, %d conn", connections), fmt.Sprintf("raw copy, %d conn", connections)
		plan.Contestants = append(plan.Contestants,
			Contestant{Name: ours, Detail: "InsertManyFastTx, 5,000 jobs in a transaction", Template: empty, Run: enqueues(bulk, connections, copyPerTx, insertFast)},
			Contestant{Name: floor, Detail: "floor: the same rows, encoded beforehand, one COPY per connection, text or binary", Template: empty, Run: copiesRaw(lab, bulk, rows)})
		plan.Ratios = append(plan.Ratios, Ratio{
			What: fmt.Sprintf("COPY against raw COPY, %d conn", connections), Of: ours, Against: floor, Figure: "jobs/s", AtLeast: 0.75, Aim: 0.9})
	}
	return plan, nil
}

// enqueue puts jobs of the given orders into the queue in one transaction.
type enqueue func(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, args []jobs.ProcessOrderArgs) error

func insertOne(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, args []jobs.ProcessOrderArgs) error {
	_, err := enq.InsertTx(ctx, tx, args[0], nil)
	return err
}

func insertMany(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, args []jobs.ProcessOrderArgs) error {
	_, err := enq.InsertManyTx(ctx, tx, jobs.Many(args))
	return err
}

func insertFast(ctx context.Context, tx pgx.Tx, enq jobs.Enqueuer, args []jobs.ProcessOrderArgs) error {
	_, err := enq.InsertManyFastTx(ctx, tx, jobs.Many(args))
	return err
}

// enqueues measures n jobs, perTx in a transaction, shared between connections.
func enqueues(n, connections, perTx int, insert enqueue) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		began := time.Now()
		if err := enqueueAll(ctx, db, n, connections, perTx, insert); err != nil {
			return nil, err
		}
		took := time.Since(began)
		return Figures{"jobs/s": float64(n) / took.Seconds()}, checkJobs(ctx, db, n)
	}
}

// enqueueAll inserts jobs for the orders 1 to n; each connection takes one run of ids.
func enqueueAll(ctx context.Context, db *Database, n, connections, perTx int, insert enqueue) error {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range shares(n, connections) {
		group.Go(func() error {
			for first := part.first; first <= part.last; first += perTx {
				args := make([]jobs.ProcessOrderArgs, 0, perTx)
				for id := first; id <= min(part.last, first+perTx-1); id++ {
					args = append(args, jobs.ProcessOrderArgs{OrderID: int64(id)})
				}
				err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error { return insert(ctx, tx, inserter, args) })
				if err != nil {
					return fmt.Errorf("enqueue from order %d on: %w", first, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// share is a run of numbers, both ends included.
type share struct{ first, last int }

// shares cuts 1 to n into parts as equal as can be.
func shares(n, parts int) []share {
	cut := make([]share, 0, parts)
	first := 1
	for part := range parts {
		last := n * (part + 1) / parts
		cut = append(cut, share{first, last})
		first = last + 1
	}
	return cut
}

const checkJobsSQL = `
select /* bench.checkJobs */ count(*), count(distinct args ->> 'order_id'), count(*) filter (where state = 'available' and unique_key is not null)
  from river_job
 where kind = 'process_order'`

// checkJobs wants n jobs of n orders, ready to be worked and guarded against duplicates.
func checkJobs(ctx context.Context, db *Database, n int) error {
	var all, orders, ready int
	if err := db.Pool.QueryRow(ctx, checkJobsSQL).Scan(&all, &orders, &ready); err != nil {
		return fmt.Errorf("count the jobs: %w", err)
	}
	if all != n || orders != n || ready != n {
		return fmt.Errorf("%d jobs of %d orders are there, %d of them ready, and not %d", all, orders, ready, n)
	}
	return nil
}

// rawRows are rows of river_job as COPY takes them, a part for each connection.
type rawRows struct{ text, binary [][]byte }

const jobColumns = `args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags, unique_key, unique_states`

// rawJobs has River insert the jobs once and copies them out again.
func rawJobs(ctx context.Context, lab *Lab, n, connections int) (rows rawRows, err error) {
	db, err := lab.clone(ctx, "raw jobs", Template{})
	if err != nil {
		return rows, err
	}
	if err := enqueueAll(ctx, db, n, 1, copyPerTx, insertFast); err != nil {
		return rows, err
	}
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		return rows, err
	}
	for _, part := range shares(n, connections) {
		query := fmt.Sprintf(`copy /* bench.rawJobs */ (select %s from river_job where id between %d and %d order by id) to stdout`, jobColumns, part.first, part.last)
		var text, binary bytes.Buffer
		if _, err = conn.Conn().PgConn().CopyTo(ctx, &text, query); err == nil {
			_, err = conn.Conn().PgConn().CopyTo(ctx, &binary, query+` (format binary)`)
		}
		if err != nil {
			break
		}
		rows.text, rows.binary = append(rows.text, text.Bytes()), append(rows.binary, binary.Bytes())
	}
	conn.Release()
	if err != nil {
		return rows, fmt.Errorf("copy the jobs out: %w", err)
	}
	return rows, lab.discard(ctx, db)
}

// copiesRaw measures both forms of COPY, each into the empty table, and reports the faster.
func copiesRaw(lab *Lab, n int, rows rawRows) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		text, err := copyRaw(ctx, db, rows.text, "text")
		if err != nil {
			return nil, err
		}
		if err := checkJobs(ctx, db, n); err != nil {
			return nil, err
		}
		if _, err := db.Pool.Exec(ctx, "truncate /* bench.copiesRaw */ river_job"); err != nil {
			return nil, fmt.Errorf("empty the table: %w", err)
		}
		if err := lab.checkpoint(ctx); err != nil {
			return nil, err
		}
		binary, err := copyRaw(ctx, db, rows.binary, "binary")
		if err != nil {
			return nil, err
		}
		inText, inBinary := float64(n)/text.Seconds(), float64(n)/binary.Seconds()
		return Figures{"jobs/s": max(inText, inBinary), "text jobs/s": inText, "binary jobs/s": inBinary}, checkJobs(ctx, db, n)
	}
}

// copyRaw answers how long all connections together take.
func copyRaw(ctx context.Context, db *Database, parts [][]byte, format string) (time.Duration, error) {
	conns := make([]*pgx.Conn, len(parts))
	for i := range parts {
		conn, err := db.Pool.Acquire(ctx)
		if err != nil {
			return 0, err
		}
		defer conn.Release()
		conns[i] = conn.Conn()
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, rows := range parts {
		group.Go(func() error {
			sql := fmt.Sprintf("copy /* bench.copyRaw */ river_job (%s) from stdin (format %s)", jobColumns, format)
			_, err := conns[i].PgConn().CopyFrom(ctx, bytes.NewReader(rows), sql)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("copy jobs in: %w", err)
	}
	return time.Since(began), nil
}
