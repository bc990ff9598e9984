package jobs

import (
	"time"

	"github.com/riverqueue/river"
)

// CleanUpArgs asks for what is past its retention to be deleted. The timetable enqueues it hourly for all
// policies, and the CLI for one.
type CleanUpArgs struct {
	Policy string `json:"policy,omitempty"  river:"unique"` // a row of retention_policies; empty: all that are enabled
	DryRun bool   `json:"dry_run,omitempty" river:"unique"` // only tell what would go
	// Cutoff spares what is younger, although the policy's age does not: the cutoff of a dry run makes this
	// run be about the same rows. It is a pointer because every instant spares something, the zero time nearly all.
	Cutoff *time.Time `json:"cutoff,omitempty" river:"unique"`
}

// Kind is the stable name of the kind.
func (CleanUpArgs) Kind() string { return "clean_up" }

// Contract states what is promised about clean_up.
func (a CleanUpArgs) Contract() Contract {
	return Contract{
		Kind:        a.Kind(),
		Queue:       QueueMaintenance,
		Timeout:     5 * time.Minute,
		MaxAttempts: 5,
		Retry:       Retry{First: 10 * time.Second, Max: 5 * time.Minute},
		Retention:   Retention{Completed: 24 * time.Hour, Failed: 30 * 24 * time.Hour},
		Harmless:    "what is deleted is gone, what is marked is finished by whoever comes next, and nothing else is touched",
	}
}

// InsertOpts let at most one unfinished job for the same policy exist, so that ticks do not pile up behind
// a long one.
func (a CleanUpArgs) InsertOpts() river.InsertOpts {
	opts := a.Contract().InsertOpts()
	opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	return opts
}

// Validate accepts every policy: the worker knows which there are when it runs.
func (CleanUpArgs) Validate() error { return nil }
