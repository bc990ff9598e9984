package report

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// writersEvery is how often writers that are waited for are looked for.
const writersEvery = 50 * time.Millisecond

// highestSQL reads the highest id of each driver.
var highestSQL = map[Driver]string{
	DriverTransitions: `select /* report.watermark */ coalesce(max(id), 0), clock_timestamp() from order_transitions`,
	DriverMovements:   `select /* report.watermark */ coalesce(max(id), 0), clock_timestamp() from stock_movements`,
	DriverJobs:        `select /* report.watermark */ coalesce(max(id), 0), clock_timestamp() from river_job`,
}

// A virtual transaction names one transaction once and for all: the id of its session and a counter.
const (
	writersSQL = `
select /* report.watermark */ coalesce(array_agg(distinct virtualtransaction), '{}')
  from pg_locks
 where locktype = 'relation'
   and database = (select oid from pg_database where datname = current_database())
   and relation = $1::text::regclass
   and mode = 'RowExclusiveLock'
   and granted
   and ($2::text[] is null or virtualtransaction = any($2))`
	writerSQL = `
select /* report.watermark */ lock.pid, coalesce(left(regexp_replace(session.query, '\s+', ' ', 'g'), 100), 'no query')
  from pg_locks lock
  left join pg_stat_activity session using (pid)
 where lock.virtualtransaction = $1
 limit 1`
)

// readWatermark answers the highest id of a driver below which nothing can appear any more, and when it was
// read. A writer takes its lock on the table before it draws an id, so whoever holds the lock once the id has been
// read may hold a lower one; all of them are waited for, without holding a transaction meanwhile.
func (w Worker) readWatermark(ctx context.Context, driver Driver) (watermark int64, made time.Time, err error) {
	if err := w.Pool.QueryRow(ctx, highestSQL[driver]).Scan(&watermark, &made); err != nil {
		return 0, time.Time{}, fmt.Errorf("read the watermark of %s: %w", driver, err)
	}
	if driver == DriverJobs { // whose rows change all the time: what is read is what there is then
		return watermark, made.UTC(), nil
	}
	return watermark, made.UTC(), w.awaitWriters(ctx, driver)
}

// awaitWriters waits until the transactions that write to a table now have ended.
func (w Worker) awaitWriters(ctx context.Context, driver Driver) error {
	deadline := time.Now().Add(w.WritersWithin)
	var writers []string // nil at first: whoever holds the lock now
	for {
		if err := w.Pool.QueryRow(ctx, writersSQL, string(driver), writers).Scan(&writers); err != nil {
			return fmt.Errorf("look for writers of %s: %w", driver, err)
		}
		switch {
		case len(writers) == 0:
			return nil
		case time.Now().After(deadline):
			return w.writersStay(ctx, driver, writers)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(writersEvery):
		}
	}
}

// writersStay names one of the transactions that did not end.
func (w Worker) writersStay(ctx context.Context, driver Driver, writers []string) error {
	rows, err := w.Pool.Query(ctx, writerSQL, writers[0])
	if err != nil {
		return err
	}
	var pid *int32
	query := "it has just ended"
	if _, err = pgx.ForEachRow(rows, []any{&pid, &query}, func() error { return nil }); err != nil {
		return err
	}
	who := "a prepared transaction"
	if pid != nil {
		who = fmt.Sprintf("process %d", *pid)
	}
	return fmt.Errorf("wait for transactions that write to %s: %s is still open after %s (%s); end it with pg_terminate_backend, or wait",
		driver, who, w.WritersWithin, strings.TrimSpace(query))
}

const watermarkSQL = `
update /* report.watermark */ reports
   set watermark = $2
 where id = $1
   and status = 'running'`

// settleWatermark reads the report's watermark, unless parts of an earlier attempt were made with one: what is
// added to them must be what would have followed.
func (r *run) settleWatermark(ctx context.Context) (made time.Time, err error) {
	if r.output.parts > 0 {
		return time.Time{}, nil // an export, which tells no time of its own
	}
	if r.output.watermark, made, err = r.readWatermark(ctx, r.kind.Driver); err != nil {
		return made, err
	}
	return made, r.Part(ctx, func(tx pgx.Tx) error {
		settled, err := tx.Exec(ctx, watermarkSQL, r.id, r.output.watermark)
		if err == nil && settled.RowsAffected() == 0 {
			return errStopped
		}
		return err
	})
}
