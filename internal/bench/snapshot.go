package bench

import (
	"context"
	"time"
)

// The transactions of reports alone: those of orders are somebody else's, and those that hold no snapshot keep
// nothing from vacuum.
const snapshotAgeSQL = `
select /* bench.snapshots */ coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
  from pg_stat_activity
 where datname = current_database()
   and backend_xmin is not null
   and query like '%/* report.%'
   and pid <> pg_backend_pid()`

// snapshotsEvery is how often they are looked for.
const snapshotsEvery = 200 * time.Millisecond

// watchSnapshots looks at the transactions of reports until the function it answers is called, which answers
// the age of the oldest that was seen.
func watchSnapshots(ctx context.Context, db *Database) (longest func() time.Duration) {
	ctx, stop := context.WithCancel(ctx)
	found := make(chan time.Duration)
	go func() {
		var oldest float64
		for {
			var age float64
			if err := db.Pool.QueryRow(ctx, snapshotAgeSQL).Scan(&age); err == nil {
				oldest = max(oldest, age)
			}
			if pause(ctx, snapshotsEvery) != nil {
				break
			}
		}
		found <- time.Duration(oldest * float64(time.Second))
	}()
	return func() time.Duration { // at least what can be told from nothing
		stop()
		return max(<-found, time.Millisecond)
	}
}
