package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

var cleanupScenario = Scenario{
	Name:    "cleanup",
	Summary: "old rows deleted per second, next to a plain batched delete, and what orders notice of it",
	Prepare: prepareCleanup,
}

const (
	cleanupBatch = 1000 // rows of one transaction, the policy's default
	cleanupRate  = 200  // orders per second meanwhile
	// cleanupFactor is how many old rows there are for each order of the settings, and young ones as well.
	cleanupFactor = 20
	// objectFactor is the same of rows with an object.
	objectFactor = 2
	objectBytes  = 2000
)

func prepareCleanup(ctx context.Context, lab *Lab) (*Plan, error) {
	rows, objects := lab.Settings.Few(cleanupFactor*lab.Settings.Orders, 3000), lab.Settings.Few(objectFactor*lab.Settings.Orders, 3000)
	bare, err := lab.Template(ctx, "temp files", func(ctx context.Context, db *Database) error { return fillTempFiles(ctx, db, rows, 0) })
	if err != nil {
		return nil, err
	}
	full, err := lab.Template(ctx, "temp files with objects", func(ctx context.Context, db *Database) error { return fillTempFiles(ctx, db, objects, objectBytes) })
	if err != nil {
		return nil, err
	}
	shop, err := lab.Template(ctx, "history and temp files", func(ctx context.Context, db *Database) error {
		return errors.Join(lab.fillHistory(ctx, db), fillTempFiles(ctx, db, rows, 0))
	})
	if err != nil {
		return nil, err
	}
	const (
		ours, floor            = "clean_up", "plain delete"
		oursObjects, floorBoth = "clean_up, with objects", "plain delete, with objects"
		undisturbed, meanwhile = "orders alone", "orders while clean_up runs"
	)
	return &Plan{
		Contestants: []Contestant{
			{Name: ours, Template: bare, Run: lab.runCleanup(rows), Detail: "one worker process; locks, holds, hash and record of the run included, and its pauses"},
			{Name: floor, Template: bare, Run: runPlainDelete(rows, plainDeleteSQL), Detail: "1,000 rows by age in a transaction, 1 connection, no pause"},
			{Name: oursObjects, Template: full, Run: lab.runCleanup(objects), Detail: "an object of 2,000 bytes in the database for each row"},
			{Name: floorBoth, Template: full, Run: runPlainDelete(objects, plainDeleteBothSQL), Detail: "rows and objects in one statement"},
			{Name: undisturbed, Template: shop, Run: lab.runLatency(cleanupRate, contender{lab.startProduct, queue.NewInserter, false}), Detail: "200 a second at random times"},
			{Name: meanwhile, Template: shop, Run: lab.runLatency(cleanupRate, contender{lab.startBesideCleanup, queue.NewInserter, false}), Detail: "another worker process deletes"},
			limited(pickupName, Figures{pickupP99: 25}),
		},
		Ratios: []Ratio{
			{What: "cleanup against a plain delete", Of: ours, Against: floor, Figure: rowsPerSecond, Aim: 0.7},
			{What: "the same, with objects", Of: oursObjects, Against: floorBoth, Figure: rowsPerSecond, Aim: 0.7},
			{What: "room below 25 ms (this, or twice as long as alone)", Of: meanwhile, Against: pickupName, Figure: pickupP99, LowerIsBetter: true, AtLeast: 1},
			{What: "next to alone", Of: meanwhile, Against: undisturbed, Figure: pickupP99, LowerIsBetter: true},
		},
	}, nil
}

const fillTempFilesSQL = `
insert /* bench.fillTempFiles */ into temp_files (location, bytes, created_at)
select 'postgres:bench/' || n, greatest($2::int, 1), now() - case when n % 2 = 1 then interval '60 days' else interval '1 day' end + n * interval '1 millisecond'
  from generate_series(1, 2 * $1::int) as n`

const fillObjectsSQL = `
with /* bench.fillTempFiles */ objects as (
  insert into stored_objects (path, bytes)
  select substring(location from 10), $1
    from temp_files
  returning path
)
insert into stored_chunks (path, n, content)
select path, 0, decode(repeat(md5(path), $1::int / 16), 'hex')
  from objects`

// fillTempFiles registers as many old temp files as young ones, in turn, with objects of so many bytes.
func fillTempFiles(ctx context.Context, db *Database, old, bytes int) error {
	if _, err := db.Pool.Exec(ctx, fillTempFilesSQL, old, bytes); err != nil {
		return fmt.Errorf("register temp files: %w", err)
	}
	if bytes == 0 {
		return nil
	}
	if _, err := db.Pool.Exec(ctx, fillObjectsSQL, bytes); err != nil {
		return fmt.Errorf("store objects: %w", err)
	}
	return nil
}

const cleanupTookSQL = `
select /* bench.runCleanup */ rows, extract(epoch from finished_at - started_at)::float8
  from cleanup_runs
 where policy = 'temp-files'`

// runCleanup has a worker process work one job, and takes the time from the run's own record.
func (l *Lab) runCleanup(old int) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		if err := enqueueCleanup(ctx, db); err != nil {
			return nil, err
		}
		program := l.Backoffice(ctx, db, "worker", "--queue", "maintenance=1", untilEmpty, "--log-format", "json", "--log-level", "warn")
		if err := run(program); err != nil {
			return nil, err
		}
		var deleted, seconds float64
		if err := db.Pool.QueryRow(ctx, cleanupTookSQL).Scan(&deleted, &seconds); err != nil {
			return nil, fmt.Errorf("read the run: %w", err)
		}
		return Figures{rowsPerSecond: deleted / seconds}, checkTempFiles(ctx, db, old)
	}
}

func enqueueCleanup(ctx context.Context, db *Database) error {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	if _, err := inserter.Insert(ctx, jobs.CleanUpArgs{Policy: "temp-files"}, nil); err != nil {
		return fmt.Errorf("enqueue clean_up: %w", err)
	}
	return nil
}

const leftTempFilesSQL = `
select /* bench.checkTempFiles */ count(*), count(*) filter (where created_at < now() - interval '30 days'),
       (select count(*) from stored_objects o where not exists (select from temp_files f where f.location = 'postgres:' || o.path))
  from temp_files`

// checkTempFiles answers an error unless the old rows, their objects and nothing else are gone.
func checkTempFiles(ctx context.Context, db *Database, young int) error {
	var left, old, objects int
	if err := db.Pool.QueryRow(ctx, leftTempFilesSQL).Scan(&left, &old, &objects); err != nil {
		return fmt.Errorf("count what is left: %w", err)
	}
	if left != young || old != 0 || objects != 0 {
		return fmt.Errorf("%d rows are left, %d of them old, and %d objects without a row; want %d young ones", left, old, objects, young)
	}
	return nil
}

const (
	plainDeleteSQL = `
delete /* bench.plainDelete */ from temp_files
 where id = any(array(
         select id
           from temp_files
          where created_at < now() - interval '30 days'
          order by created_at, id
          limit $1))`
	plainDeleteBothSQL = `
with /* bench.plainDelete */ deleted as (
  delete from temp_files
   where id = any(array(
           select id
             from temp_files
            where created_at < now() - interval '30 days'
            order by created_at, id
            limit $1))
  returning location
)
delete from stored_objects
 where path = any(array(select substring(location from 10) from deleted))`
)

// runPlainDelete is a loop as anybody would write it who knows that long transactions are bad.
func runPlainDelete(old int, statement string) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		conn, err := db.Pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Release()
		began := time.Now()
		for {
			deleted, err := conn.Exec(ctx, statement, cleanupBatch)
			if err != nil {
				return nil, fmt.Errorf("delete: %w", err)
			}
			if deleted.RowsAffected() < cleanupBatch {
				break
			}
		}
		return Figures{rowsPerSecond: float64(old) / time.Since(began).Seconds()}, checkTempFiles(ctx, db, old)
	}
}

// startBesideCleanup starts the program's worker for the orders, and another one that deletes meanwhile.
func (l *Lab) startBesideCleanup(ctx context.Context, db *Database, report func(passage)) (stop func() error, err error) {
	orders, err := l.startLasting(ctx, db, report, workerArgs...)
	if err != nil {
		return nil, err
	}
	deleting, err := l.startLasting(ctx, db, func(passage) {}, "worker", "--queue", "maintenance=1", "--soft-stop", "1s")
	if err != nil {
		return nil, errors.Join(err, orders.stop())
	}
	stop = func() error {
		return errors.Join(orders.stop(), deleting.stop(), checkWasBusy(ctx, db))
	}
	if err := enqueueCleanup(ctx, db); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

const wasBusySQL = `
select /* bench.checkWasBusy */ rows
  from cleanup_runs
 where policy = 'temp-files'`

// checkWasBusy makes a run void during which nothing was deleted.
func checkWasBusy(ctx context.Context, db *Database) error {
	var deleted int64
	err := db.Pool.QueryRow(context.WithoutCancel(ctx), wasBusySQL).Scan(&deleted)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && deleted == 0 {
		return errors.New("nothing was deleted meanwhile")
	}
	return err
}
