package periodic

import "time"

// Clocks of a timezone are changed now and then. Between two changes local time is an instant plus an
// offset. Here local times are written as if they were UTC, so that they can be compared and counted on.

// offset is how far clocks of the zone are ahead of UTC at an instant.
func offset(at time.Time, zone *time.Location) time.Duration {
	_, seconds := at.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// wall is the local time at an instant.
func wall(at time.Time, zone *time.Location) time.Time { return at.UTC().Add(offset(at, zone)) }

// changes is when clocks of the zone are changed next after an instant; zero: never. It may name the
// beginning of a year, at which nothing changes, as ZoneBounds does where the zone's data go on by a rule.
// There Go lets every year end after 365 days: in the last hours of a leap year its bound has passed already,
// and who went on from it would not get any further.
func changes(at time.Time, zone *time.Location) time.Time {
	_, end := at.In(zone).ZoneBounds()
	if !end.IsZero() && !end.After(at) {
		return time.Date(at.UTC().Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return end
}

// upToMinute is the local time itself if it is a whole minute, else the next one. Changes of clocks fell on
// seconds before the offsets of our days.
func upToMinute(local time.Time) time.Time {
	if whole := local.Truncate(time.Minute); !whole.Equal(local) {
		return whole.Add(time.Minute)
	}
	return local
}

// mostOffset exceeds what any clock was ever ahead of UTC or behind.
const mostOffset = 16 * time.Hour

// reached is the first instant at which clocks of the zone have reached a local time: when they show it
// for the first time or, where they skip it, the first instant after the gap.
func reached(local time.Time, zone *time.Location) time.Time {
	for at := local.Add(-mostOffset); ; {
		end := changes(at, zone)
		switch shown := local.Add(-offset(at, zone)); {
		case shown.Before(at): // the change at this instant went past it
			return at
		case end.IsZero() || shown.Before(end):
			return shown
		}
		at = end
	}
}

// firstAhead is the first whole minute of local time that clocks of the zone have not reached at an
// instant. After they were put back, that is further ahead than what they show.
func firstAhead(at time.Time, zone *time.Location) time.Time {
	ahead := wall(at, zone).Truncate(time.Minute).Add(time.Minute)
	for begun, _ := at.In(zone).ZoneBounds(); !begun.IsZero() && at.Sub(begun) < 2*mostOffset; {
		before := begun.Add(-time.Nanosecond)
		if left := upToMinute(begun.UTC().Add(offset(before, zone))); left.After(ahead) {
			ahead = left
		}
		begun, _ = before.In(zone).ZoneBounds()
	}
	return ahead
}
