package periodic

import (
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
)

// Every is a schedule of a fixed interval whose ticks lie on whole multiples of it since the Unix
// epoch, so that every process computes the same ticks. It is at least a second.
type Every time.Duration

// Next is the first tick after the given instant.
func (e Every) Next(after time.Time) time.Time {
	interval := int64(e)
	elapsed := after.UnixNano()
	return time.Unix(0, elapsed-elapsed%interval+interval).UTC()
}

var _ river.PeriodicSchedule = Every(time.Second)

// ParseSpec reads a schedule's spec: "every 30s", with any duration of at least a second.
func ParseSpec(spec string) (river.PeriodicSchedule, error) {
	text, ok := strings.CutPrefix(spec, "every ")
	if !ok {
		return nil, fmt.Errorf("spec %q is not understood; write it as \"every 30s\"", spec)
	}
	interval, err := time.ParseDuration(text)
	if err != nil || interval < time.Second {
		return nil, fmt.Errorf("spec %q wants a duration of at least 1s, such as \"every 30s\"", spec)
	}
	return Every(interval), nil
}

// ticksPerClaim bounds how many missed ticks one transaction settles.
const ticksPerClaim = 1000

// due sorts the ticks from the given one up to now into those to run and those to skip, at most
// ticksPerClaim of them, and answers the first tick that is left.
func due(schedule river.PeriodicSchedule, policy CatchUp, tick, now time.Time) (run, skip []time.Time, next time.Time) {
	if every, fixed := schedule.(Every); fixed && policy != CatchUpAll {
		// After a long pause the ledger tells of the last missed ticks only: a year of them says no more.
		if earliest := now.Add(-ticksPerClaim * time.Duration(every)); tick.Before(earliest) {
			tick = every.Next(earliest)
		}
	}
	for n := 0; n < ticksPerClaim && !tick.After(now); n++ {
		following := schedule.Next(tick)
		latest := following.After(now)
		if policy == CatchUpAll || latest && (policy == CatchUpLatest || onTime(tick, now)) {
			run = append(run, tick)
		} else {
			skip = append(skip, tick)
		}
		tick = following
	}
	return run, skip, tick
}

// onTime tells a tick that is merely dispatched a moment late from one that was missed.
func onTime(tick, now time.Time) bool { return now.Sub(tick) < lateness }

// lateness is how late a tick may be dispatched without counting as missed under CatchUpSkip.
const lateness = 30 * time.Second
