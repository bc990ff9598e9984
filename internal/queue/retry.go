package queue

import (
	"time"

	"github.com/riverqueue/river/rivertype"

	"backoffice/jobs"
)

// strangerRetry is the schedule of a job whose kind this build does not know.
var strangerRetry = jobs.Retry{First: 5 * time.Second, Max: 5 * time.Minute}

// retries is the client's one retry policy: it looks the kind's schedule up and counts attempts. It is
// the client's and not the worker's because River asks no worker about a job whose args it cannot
// decode; it counts attempts because a job taken back from a dead worker gains an error, not an attempt.
type retries map[string]jobs.Retry

func retryPolicy(contracts []jobs.Contract) retries {
	policy := make(retries, len(contracts))
	for _, c := range contracts {
		policy[c.Kind] = c.Retry
	}
	return policy
}

// NextRetry is always in the future: for an instant in the past River would fall back to its own
// schedule of three weeks.
func (r retries) NextRetry(job *rivertype.JobRow) time.Time {
	schedule, known := r[job.Kind]
	if !known {
		schedule = strangerRetry
	}
	return time.Now().Add(schedule.Wait(job.Attempt))
}
