package periodic

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/riverqueue/river"
)

const (
	// mostPerClaim bounds how many jobs one transaction enqueues.
	mostPerClaim = 500
	// mostMissed is how many missed ticks the ledger lists one by one; of a longer outage it holds the last
	// ones, and the others as one gap.
	mostMissed = 10_000
	// lateness is how late a tick may be dispatched without counting as missed under CatchUpSkip.
	lateness = 30 * time.Second
)

// settlement says what to do about ticks that have come due.
type settlement struct {
	run, skip         []time.Time
	gapFrom, gapUntil time.Time // ticks from the one and before the other are left out; zero: none are
	next              time.Time // the first tick that is left
}

// settle decides about the ticks from the given one up to now. Under CatchUpAll it may leave some for the
// next time.
func settle(schedule river.PeriodicSchedule, policy CatchUp, tick, now time.Time) settlement {
	if policy == CatchUpAll {
		ticks, next := ticksUpTo(now, schedule, tick, mostPerClaim)
		return settlement{run: ticks, next: next}
	}
	var s settlement
	ticks, next := ticksUpTo(now, schedule, tick, mostMissed)
	if !next.After(now) {
		ticks, next = lastUpTo(now, schedule, tick)
		s.gapFrom, s.gapUntil = tick, ticks[0]
	}
	s.next = next
	if last := len(ticks) - 1; last >= 0 && (policy == CatchUpLatest || now.Sub(ticks[last]) <= lateness) {
		s.run, s.skip = ticks[last:], ticks[:last]
	} else {
		s.skip = ticks
	}
	return s
}

// ticksUpTo are the ticks from the given one up to now, at most so many, and the tick after them.
func ticksUpTo(now time.Time, schedule river.PeriodicSchedule, tick time.Time, most int) (ticks []time.Time, next time.Time) {
	for ; !tick.IsZero() && !tick.After(now) && len(ticks) < most; tick = schedule.Next(tick) { // zero: there is none
		ticks = append(ticks, tick)
	}
	return ticks, tick
}

// lastUpTo are the last mostMissed ticks up to now, none before the given one, and the tick after them. It looks
// back twice as far until they are enough: an outage may be of years, with a tick a minute in all of them, or
// with all of its ticks in one January.
func lastUpTo(now time.Time, schedule river.PeriodicSchedule, first time.Time) (ticks []time.Time, next time.Time) {
	for seconds := int64(mostMissed); ; seconds *= 2 { // no Duration is as long as an outage may be
		from := schedule.Next(time.Unix(now.Unix()-seconds, 0))
		if from.Before(first) {
			from = first
		}
		ticks, next = ticksUpTo(now, schedule, from, math.MaxInt)
		if len(ticks) >= mostMissed || from.Equal(first) {
			return ticks[max(0, len(ticks)-mostMissed):], next
		}
	}
}

// postponed is when the job of a tick starts: up to jitter later, by an amount that follows from the name
// and the tick, so that many schedules that are due at once do not start at once.
func postponed(name string, tick time.Time, jitter time.Duration) time.Time {
	if jitter <= 0 {
		return tick
	}
	digest := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), uint64(tick.Unix())))
	by := binary.BigEndian.Uint64(digest[:]) % uint64(jitter/time.Millisecond+1)
	return tick.Add(time.Duration(by) * time.Millisecond)
}
