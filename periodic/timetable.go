// Package periodic is the timetable and its durable ledger: which args are enqueued when, each tick
// once. A schedule is a row of schedules; any worker process claims what is due, and inserts the job and
// the ledger row and moves the row on in one transaction, so there is no leader to lose and no tick in
// memory. What the enqueued jobs do lives in workers.
package periodic

import (
	"backoffice/jobs"
)

// CatchUp says what becomes of ticks that came due while no worker process ran.
type CatchUp string

// The catch-up policies.
const (
	CatchUpAll    CatchUp = "all"    // every missed tick runs
	CatchUpLatest CatchUp = "latest" // the latest one runs, the others are recorded as skipped
	CatchUpSkip   CatchUp = "skip"   // none runs, all are recorded as skipped
)

// Entry is one line of the timetable: args enqueued by a schedule.
type Entry struct {
	Name    string
	Args    jobs.Args
	Spec    string // see ParseSpec
	CatchUp CatchUp
}

// BuiltIn is the timetable every installation has. Sync keeps the table in step with it.
func BuiltIn() []Entry {
	return []Entry{
		{Name: "reconcile-orders", Args: jobs.ReconcileOrdersArgs{}, Spec: "every 30s", CatchUp: CatchUpLatest},
	}
}
