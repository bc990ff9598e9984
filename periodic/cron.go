package periodic

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
)

// Cron is a line of five fields, minute hour day-of-month month day-of-week, seen on the clocks of a
// timezone. Where both day fields name days, a day that either names is meant; where one of them begins
// with *, a day must be in both, as in the cron of Vixie and Debian.
//
// What it means when clocks are changed depends on the hour field. With * or */n the line is about real
// time: every instant at which a clock shows what the line names is a tick, so that "*/15 * * * *" goes on
// every quarter of an hour through an hour that comes twice. With any other hour field the line is about
// fixed local times: one that comes twice is a tick the first time only, and one that is skipped is a tick
// at the first instant after the gap, one tick for all that were skipped together.
type Cron struct {
	minute, hour, day, month, weekday set

	realTime bool // the hour field is * or */n
	bothDays bool // a day must be in day and in weekday; else in either
	zone     *time.Location
}

var _ river.PeriodicSchedule = (*Cron)(nil)

func parseCron(line string, zone *time.Location) (*Cron, error) {
	texts := strings.Fields(line)
	if len(texts) != len(fieldRules) {
		return nil, fmt.Errorf("has %d fields; a cron line has five, minute hour day-of-month month day-of-week, such as \"30 6 * * MON-FRI\"; an interval is written as \"every 30s\"", len(texts))
	}
	var sets [len(fieldRules)]set
	for i, text := range texts {
		var err error
		if sets[i], err = fieldRules[i].parse(text); err != nil {
			return nil, err
		}
	}
	hour := texts[hourField]
	c := &Cron{
		minute: sets[minuteField], hour: sets[hourField], day: sets[dayField], month: sets[monthField], weekday: sets[weekdayField],
		realTime: hour == "*" || strings.HasPrefix(hour, "*/") && !strings.Contains(hour, ","),
		bothDays: strings.HasPrefix(texts[dayField], "*") || strings.HasPrefix(texts[weekdayField], "*"),
		zone:     zone,
	}
	if _, ever := c.match(time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)); !ever {
		return nil, errors.New("names a date that never comes, such as 30 February")
	}
	return c, nil
}

// Next is the first tick after an instant. It depends on nothing but the line, the timezone and the
// instant. It always ends: zero says that there is no tick, as at the end of the years that Go can count.
func (c *Cron) Next(after time.Time) time.Time {
	if c.realTime {
		return c.nextShown(after)
	}
	local, ever := c.match(firstAhead(after, c.zone))
	if !ever {
		return time.Time{}
	}
	return reached(local, c.zone)
}

// nextShown is the first instant after the given one at which clocks show what the line names: it looks
// through one stretch of time between two changes of clocks after the other.
func (c *Cron) nextShown(after time.Time) time.Time {
	from := wall(after, c.zone).Truncate(time.Minute).Add(time.Minute)
	for at, last := after, after.AddDate(searchYears, 0, 0); at.Before(last); {
		end := changes(at, c.zone)
		local, ever := c.match(from)
		tick := local.Add(-offset(at, c.zone))
		if ever && (end.IsZero() || tick.Before(end)) {
			return tick
		}
		if end.IsZero() {
			break
		}
		at, from = end, upToMinute(wall(end, c.zone))
	}
	return time.Time{}
}

// searchYears is longer than any line waits that is ever due: 29 February on a Sunday comes after 40 years
// at the latest.
const searchYears = 50

// match is the first local time, from the given one on, that the line names, and false if there is none.
// Local times are written as if they were UTC.
func (c *Cron) match(from time.Time) (local time.Time, ever bool) {
	for at, end := from, from.AddDate(searchYears, 0, 0); at.Before(end); {
		year, month, day := at.Date()
		switch {
		case !c.month.has(int(month)):
			at = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case c.onDay(day, at.Weekday()):
			if hour, minute, found := c.onClock(at.Hour(), at.Minute()); found {
				return time.Date(year, month, day, hour, minute, 0, 0, time.UTC), true
			}
			fallthrough
		default:
			at = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		}
	}
	return time.Time{}, false
}

// onClock is the first time of day, from the given one on, that the line names.
func (c *Cron) onClock(hour, minute int) (h, m int, found bool) {
	if c.hour.has(hour) {
		if m, found = c.minute.from(minute); found {
			return hour, m, true
		}
	}
	if h, found = c.hour.from(hour + 1); !found {
		return 0, 0, false
	}
	m, _ = c.minute.from(0)
	return h, m, true
}

func (c *Cron) onDay(day int, weekday time.Weekday) bool {
	if c.bothDays {
		return c.day.has(day) && c.weekday.has(int(weekday))
	}
	return c.day.has(day) || c.weekday.has(int(weekday))
}
