// Package periodic is the timetable and its durable ledger: which args are enqueued when, each tick
// once. A schedule is a row of schedules; any worker process claims what is due, and inserts the job and
// the ledger row and moves the row on in one transaction, so there is no leader to lose and no tick in
// memory. What a spec means (Next), the built-in timetable and what operators do to a schedule live here;
// what the enqueued jobs do lives in workers.
package periodic

import (
	"time"

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

// Entry is one line of the built-in timetable: args enqueued by a spec.
type Entry struct {
	Name     string
	Args     jobs.Args // those that are jobs.Ticked are resolved at each tick
	Spec     string    // see ParseSpec
	Timezone string    // of a cron line; empty: UTC
	CatchUp  CatchUp
	Jitter   time.Duration // a tick's job starts up to this much later
	Off      bool          // it is paused until an operator resumes it
}

// BuiltIn is the timetable every installation has; days and times of day are those of timezone. Sync keeps
// the table in step with it.
func BuiltIn(timezone string) []Entry {
	sales := func(period string) jobs.GenerateReportArgs {
		return jobs.GenerateReportArgs{Type: "sales-summary", Format: "pdf", Period: period, Timezone: timezone}
	}
	return []Entry{
		{Name: "reconcile-orders", Spec: "every 30s", CatchUp: CatchUpLatest, Args: jobs.ReconcileOrdersArgs{}},
		{Name: "clean-up", Spec: "@hourly", CatchUp: CatchUpLatest, Args: jobs.CleanUpArgs{}},
		{Name: "sales-summary-daily", Spec: "0 6 * * *", CatchUp: CatchUpAll, Args: sales("yesterday"), Timezone: timezone},
		{Name: "sales-summary-weekly", Spec: "30 6 * * MON", CatchUp: CatchUpAll, Args: sales("last-week"), Timezone: timezone, Off: true},
		{Name: "sales-summary-monthly", Spec: "0 7 1 * *", CatchUp: CatchUpAll, Args: sales("last-month"), Timezone: timezone, Off: true},
	}
}
