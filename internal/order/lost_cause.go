package order

import "regexp"

// jobStory is what is known of an order's jobs. Finished ones are deleted after their retention.
type jobStory struct {
	live   int    // unfinished
	failed int    // discarded
	state  string // of the newest; "": there is none
	cause  string // the newest one's last error
}

const (
	// mostRevivals is how often an order is enqueued again after jobs that were discarded for a passing
	// cause, as long as those are kept.
	mostRevivals = 3
	// mostAfterCrash is the same after a job in whose hands processes died: it may be what kills them.
	mostAfterCrash = 1
)

// lost tells whether an open order with these jobs is to be enqueued again. An order that fails by itself
// is not: it would fail for ever. Nor is one whose job a person cancelled. Both are listed by verify.
func (s jobStory) lost() bool {
	switch {
	case s.live > 0 || s.state == "cancelled":
		return false
	case s.state == "discarded" && died.MatchString(s.cause):
		return s.failed <= mostAfterCrash
	case s.state == "discarded":
		return s.failed <= mostRevivals && passing.MatchString(s.cause)
	default:
		return s.failed <= mostRevivals
	}
}

// What a process leaves as the error of a job that it died with: see take_back.go of package queue.
var died = regexp.MustCompile(`^worker process .* died while it ran this job`)

// passing matches errors that are about the server, the connection or others, not about the order: classes of
// SQLSTATE for lost connections (08), aborted for others (40), out of resources (53), locks (55P03), shutdown
// (57P), timeouts (25P03, 57014) and a standby (25006); and what the driver and the system say.
var passing = regexp.MustCompile(`\(SQLSTATE (08...|40...|53...|55P03|57P..|57014|25P03|25006)\)` +
	`|failed to connect|connection (refused|reset|closed)|closed network connection|conn closed|broken pipe|unexpected EOF|i/o timeout|no such host` +
	`|context (deadline exceeded|canceled)|^busy: |^stock moved: `)
