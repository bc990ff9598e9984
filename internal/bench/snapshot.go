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
// the age of the oldest that was seen, or why they could not be looked at.
func watchSnapshots(ctx context.Context, db *Database) (longest func() (time.Duration, error)) {
	watching, stop := context.WithCancel(ctx)
	failed := make(chan error)
	var oldest float64
	go func() {
		for {
			var age float64
			err := db.Pool.QueryRow(watching, snapshotAgeSQL).Scan(&age)
			if watching.Err() != nil {
				err = nil // asked to stop
			}
			oldest = max(oldest, age)
			if err != nil || pause(watching, snapshotsEvery) != nil {
				failed <- err
				return
			}
		}
	}()
	return func() (time.Duration, error) {
		stop()
		err := <-failed
		return max(time.Duration(oldest*float64(time.Second)), time.Millisecond), err // at least what can be told from nothing
	}
}
