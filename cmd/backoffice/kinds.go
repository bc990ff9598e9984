package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"backoffice/jobs"
	"backoffice/workers"
)

func kindsCommand() *cli.Command {
	return &cli.Command{
		Name:  "kinds",
		Usage: "print what every job kind of this program promises",
		Description: `Queue, timeout of one attempt, attempts until a failing job is discarded, the wait
after each failed attempt, how long finished jobs are kept, and why running one twice
is harmless. Needs no database.

  backoffice kinds --output json`,
		Action: func(c *cli.Context) error { return printKinds(c, workers.Contracts()) },
	}
}

// kind is a contract in JSON.
type kind struct {
	Kind                 string      `json:"kind"`
	Queue                string      `json:"queue"`
	TimeoutSeconds       float64     `json:"timeout_seconds"`
	MaxAttempts          int         `json:"max_attempts"`
	Retry                string      `json:"retry"`
	Waits                []retryWait `json:"waits"`
	KeepCompletedHours   float64     `json:"keep_completed_hours"`
	KeepFailedHours      float64     `json:"keep_failed_hours"` // cancelled and discarded
	HarmlessTwiceBecause string      `json:"harmless_twice_because"`
}

// retryWait bounds the wait after a failed attempt, jitter included.
type retryWait struct {
	AfterAttempt    int     `json:"after_attempt"`
	ShortestSeconds float64 `json:"shortest_seconds"`
	LongestSeconds  float64 `json:"longest_seconds"`
}

func kindOf(contract jobs.Contract) kind {
	shown := kind{
		Kind: contract.Kind, Queue: contract.Queue, TimeoutSeconds: contract.Timeout.Seconds(), MaxAttempts: contract.MaxAttempts,
		Retry: contract.Retry.Waits(contract.MaxAttempts), Waits: []retryWait{},
		KeepCompletedHours: contract.Retention.Completed.Hours(), KeepFailedHours: contract.Retention.Failed.Hours(),
		HarmlessTwiceBecause: contract.Harmless,
	}
	for attempt := 1; attempt < contract.MaxAttempts; attempt++ { // the last attempt is followed by none
		shortest, longest := contract.Retry.Bounds(attempt)
		shown.Waits = append(shown.Waits, retryWait{attempt, shortest.Seconds(), longest.Seconds()})
	}
	return shown
}

func printKinds(c *cli.Context, contracts []jobs.Contract) error {
	var shown []kind
	promises := newTable("KIND", "QUEUE", ">TIMEOUT", ">ATTEMPTS", "WAIT_AFTER_FAILURE", ">KEEP_COMPLETED", ">KEEP_FAILED")
	reasons := newTable("KIND", "RUNNING_IT_TWICE_IS_HARMLESS_BECAUSE")
	for _, contract := range contracts {
		shown = append(shown, kindOf(contract))
		promises.add(contract.Kind, contract.Queue, contract.Timeout, contract.MaxAttempts, contract.Retry.Waits(contract.MaxAttempts),
			age(contract.Retention.Completed), age(contract.Retention.Failed))
		reasons.add(contract.Kind, contract.Harmless)
	}
	if err := printRows(c, shown, promises, "no kinds"); err != nil || wantsJSON(c) {
		return err
	}
	if err := printf(c, "\n"); err != nil {
		return err
	}
	return reasons.print(c.App.Writer, "", "no kinds")
}

// age writes a long duration in days where it is whole days.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return count(int(d/day), "day")
	}
	return count(int(d.Hours()), "hour")
}
