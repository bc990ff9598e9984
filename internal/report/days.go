package report

import (
	"fmt"
	"sort"
	"time"
)

// maxDays is how long a period may be: ten years, which make a table that somebody can still read.
const maxDays = 3_700

// closed completes a period that needs both ends, and refuses one that is longer than maxDays.
func (p *Period) closed() error {
	if err := p.Complete(); err != nil {
		return err
	}
	switch {
	case p.From == "":
		return Invalid("from", "from is missing; give the first day of the period, such as 2010-12-01")
	case p.To == "":
		return Invalid("to", "to is missing; give the last day of the period, such as 2011-05-31")
	}
	if first, last := p.ends(); countDays(first, last) > maxDays {
		return Invalid("from", "from %s to %s are %d days; ask for %d at most", p.From, p.To, countDays(first, last), maxDays)
	}
	return nil
}

// ends are the first and the last day of a closed period, as midnights of UTC: days to count with, not
// instants.
func (p *Period) ends() (first, last time.Time) {
	return parseDay(p.From), parseDay(p.To)
}

// String is the period for people: 1 Dec 2010 to 31 May 2011.
func (p *Period) String() string { return sayDays(p.ends()) }

// instants are those a closed period begins with and ends before.
func (p *Period) instants() (since, until time.Time) {
	_, _, zone := p.Days()
	first, last := p.ends()
	return dayBegins(first, zone), dayBegins(last.AddDate(0, 0, 1), zone)
}

// parseDay reads a day that Complete has approved.
func parseDay(text string) time.Time {
	day, _ := time.Parse(time.DateOnly, text)
	return day
}

// countDays counts from the first day to the last, both included.
func countDays(first, last time.Time) int { return int(last.Sub(first)/(24*time.Hour)) + 1 }

// dayOf is the day that the clocks of a zone show at an instant, as a midnight of UTC.
func dayOf(at time.Time, zone *time.Location) time.Time {
	year, month, day := at.In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// dayBegins is the first instant at which the clocks of a zone show a day: midnight, unless they skip it or
// show it twice. time.Date leaves open what it answers then.
func dayBegins(day time.Time, zone *time.Location) time.Time {
	const furthest = 26 * time.Hour // no clock is further from UTC
	earliest := day.Add(-furthest)
	seconds := sort.Search(int(2*furthest/time.Second), func(s int) bool {
		return !dayOf(earliest.Add(time.Duration(s)*time.Second), zone).Before(day)
	})
	return earliest.Add(time.Duration(seconds) * time.Second)
}

// span is a stretch of days that one line of a table tells about.
type span struct {
	name        string // 2010-12-01, 2010-W48, 2010-12
	first, last time.Time
	of          int // how many days it would have if the period did not cut it
}

// String tells the days for people, and how many are missing: 6 to 31 Dec 2010 (26 of 31 days).
func (s span) String() string {
	if n := countDays(s.first, s.last); n < s.of {
		return fmt.Sprintf("%s (%d of %d days)", sayDays(s.first, s.last), n, s.of)
	}
	return sayDays(s.first, s.last)
}

// The spans that a period can be told by.
const (
	byDay   = "day"
	byWeek  = "week" // ISO 8601: from Monday
	byMonth = "month"
)

// spans cuts a closed period at the ends of days, weeks or months.
func (p *Period) spans(by string) []span {
	from, to := p.ends()
	var spans []span
	for day := from; !day.After(to); {
		s := spanOf(by, day)
		day = s.last.AddDate(0, 0, 1)
		if s.first.Before(from) {
			s.first = from
		}
		if s.last.After(to) {
			s.last = to
		}
		spans = append(spans, s)
	}
	return spans
}

// spanOf is the whole span that a day lies in.
func spanOf(by string, day time.Time) span {
	s := span{name: day.Format(time.DateOnly), first: day, last: day}
	switch by {
	case byWeek:
		year, week := day.ISOWeek()
		s.name = fmt.Sprintf("%04d-W%02d", year, week)
		s.first = day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		s.last = s.first.AddDate(0, 0, 6)
	case byMonth:
		s.name = day.Format("2006-01")
		s.first = day.AddDate(0, 0, 1-day.Day())
		s.last = s.first.AddDate(0, 1, -1)
	}
	s.of = countDays(s.first, s.last)
	return s
}

// begins are the instants at which spans begin in a zone.
func begins(spans []span, zone *time.Location) []time.Time {
	instants := make([]time.Time, len(spans))
	for i, s := range spans {
		instants[i] = dayBegins(s.first, zone)
	}
	return instants
}

// sayDays writes days for people, without saying month and year twice: 27 Dec 2010 to 2 Jan 2011, 1 to 31
// May 2011.
func sayDays(first, last time.Time) string {
	const whole = "2 Jan 2006"
	switch {
	case first.Equal(last):
		return last.Format(whole)
	case first.Year() != last.Year():
		return first.Format(whole) + " to " + last.Format(whole)
	case first.Month() != last.Month():
		return first.Format("2 Jan") + " to " + last.Format(whole)
	}
	return first.Format("2") + " to " + last.Format(whole)
}
