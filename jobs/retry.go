package jobs

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// retryJitter is the share by which a wait may fall short of or exceed its nominal length, so that
// jobs that failed together do not come back together.
const retryJitter = 0.2

// Retry is a kind's schedule of waits: First after the first failed attempt, doubled after each
// further one up to Max, each within 20% of its nominal length.
type Retry struct {
	First, Max time.Duration
}

// Nominal is the wait after the given failed attempt (counted from 1) before jitter.
func (r Retry) Nominal(attempt int) time.Duration {
	wait := r.First
	for n := 1; n < attempt && wait < r.Max; n++ {
		wait *= 2
	}
	return min(wait, r.Max)
}

// Bounds are the shortest and longest wait after the given failed attempt.
func (r Retry) Bounds(attempt int) (shortest, longest time.Duration) {
	nominal := float64(r.Nominal(attempt))
	return time.Duration(nominal * (1 - retryJitter)), time.Duration(nominal * (1 + retryJitter))
}

// Wait draws the wait after the given failed attempt; it is always above zero.
func (r Retry) Wait(attempt int) time.Duration {
	shortest, longest := r.Bounds(attempt)
	return shortest + time.Duration(rand.Int64N(int64(longest-shortest)+1))
}

// Waits lists the waits between the given number of attempts: "1s 2s 4s, then 5s, each ±20%".
func (r Retry) Waits(attempts int) string {
	var waits []string
	for attempt := 1; attempt < attempts; attempt++ {
		if attempt > 1 && r.Nominal(attempt) == r.Nominal(attempt+1) && attempt+1 < attempts {
			return fmt.Sprintf("%s, then %s, each ±%.0f%%", strings.Join(waits, " "), short(r.Max), retryJitter*100)
		}
		waits = append(waits, short(r.Nominal(attempt)))
	}
	if len(waits) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s, each ±%.0f%%", strings.Join(waits, " "), retryJitter*100)
}

// short drops the zero parts of a duration: 5m rather than 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
