package report

import (
	"time"

	"backoffice/jobs"
)

// Resolve is for whoever enqueues jobs of any kind, by their args: what depends on the present is resolved, and
// a report that nobody could make is refused with ErrInvalid. See jobs.Ticked and Check.
func Resolve(args interface{ Kind() string }, now time.Time) (interface{ Kind() string }, error) {
	if ticked, ok := args.(jobs.Ticked); ok {
		resolved, err := ticked.At(now)
		if err != nil {
			return nil, say(ErrInvalid, "%s", err)
		}
		args = resolved
	}
	if asked, ok := args.(jobs.GenerateReportArgs); ok {
		return Check(asked)
	}
	return args, nil
}
