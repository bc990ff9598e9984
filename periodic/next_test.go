package periodic_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"backoffice/periodic"
)

// naive is a cron line as the tests read it: for each field a table of the values that it names, made by asking
// of each value whether the text names it. It shares nothing with the program.
type naive struct {
	text                              string
	minute, hour, day, month, weekday [60]bool
	realTime, bothDays                bool
}

var naiveNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6,
}

func naiveNumber(text string) int {
	if n, ok := naiveNames[strings.ToLower(text)]; ok {
		return n
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err) // of a test, about its own lines
	}
	return n
}

// names says whether a field's text names a value; least is the field's smallest.
func names(text string, value, least int) bool {
	return slices.ContainsFunc(strings.Split(text, ","), func(item string) bool {
		span, step, stepped := strings.Cut(item, "/")
		low, high := least, 99
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			low = naiveNumber(from)
			if high = low; ranged {
				high = naiveNumber(to)
			}
		}
		return value >= low && value <= high && (!stepped || (value-low)%naiveNumber(step) == 0)
	})
}

func readNaive(text string) *naive {
	fields := strings.Fields(text)
	n := &naive{text: text, realTime: fields[1] == "*" || strings.HasPrefix(fields[1], "*/"), bothDays: fields[2][0] == '*' || fields[4][0] == '*'}
	for value := range 60 {
		n.minute[value] = names(fields[0], value, 0)
		n.hour[value] = names(fields[1], value, 0)
		n.day[value] = names(fields[2], value, 1)
		n.month[value] = names(fields[3], value, 1)
		n.weekday[value] = value < 7 && (names(fields[4], value, 0) || value == 0 && names(fields[4], 7, 0))
	}
	return n
}

func (n *naive) onDate(year int, month time.Month, day int) bool {
	inDay, inWeek := n.day[day], n.weekday[time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()]
	return n.month[month] && (n.bothDays && inDay && inWeek || !n.bothDays && (inDay || inWeek))
}

// walker goes through real time minute by minute, looks at the clock on the wall, and says which lines are due:
// one about real time when the clock shows what it names; one about local times when the clock gets
// further than it ever was, for every minute that it has passed on the way.
type walker struct {
	lines    []*naive
	zone     *time.Location
	furthest int64       // local minute that the clock has shown or skipped, since 1970
	date     int64       // the local day that onDate is about
	onDate   []bool      // by line
	byMinute [1440][]int // lines by the minute of the day
}

func newWalker(zone *time.Location, lines []*naive) *walker {
	w := &walker{lines: lines, zone: zone, date: -1, onDate: make([]bool, len(lines)), furthest: -1}
	for minute := range w.byMinute {
		for i, line := range lines {
			if line.hour[minute/60] && line.minute[minute%60] {
				w.byMinute[minute] = append(w.byMinute[minute], i)
			}
		}
	}
	return w
}

// named adds the lines that name a local minute to due, once each.
func (w *walker) named(local int64, due []int, wanted func(*naive) bool) []int {
	date := local / 1440
	if date != w.date {
		w.date = date
		year, month, day := time.Unix(date*86400, 0).UTC().Date()
		for i, line := range w.lines {
			w.onDate[i] = line.onDate(year, month, day)
		}
	}
	for _, i := range w.byMinute[local%1440] {
		if w.onDate[i] && wanted(w.lines[i]) && !slices.Contains(due, i) {
			due = append(due, i)
		}
	}
	return due
}

// at answers the lines that are due at a whole minute, in due's place. It is to be called for every minute.
func (w *walker) at(instant time.Time, due []int) []int {
	_, offset := instant.In(w.zone).Zone()
	local := (instant.Unix() + int64(offset)) / 60
	due = w.named(local, due[:0], func(n *naive) bool { return n.realTime })
	if w.furthest < 0 {
		w.furthest = local - 1
	}
	for ; w.furthest < local; w.furthest++ {
		due = w.named(w.furthest+1, due, func(n *naive) bool { return !n.realTime })
	}
	return due
}

// walkZones are twelve: with half hours and quarters, with changes at midnight, in the other direction, in
// the other half of the year, with a day that never was, and without any.
var walkZones = []string{
	"UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
	"Australia/Lord_Howe", "Asia/Kolkata", "Asia/Tehran", "Pacific/Chatham", "Pacific/Apia", "Africa/Casablanca",
}

// walkLines touch the hours at which clocks are changed, in both sorts of hour field, and every form of field.
var walkLines = []string{
	"0 * * * *", "*/15 * * * *", "7,37 */2 * * *", "59 */6 * * *", "20-40/10 */3 * * 1-5",
	"0 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "5 2 * * *", "59 2 * * *", "0 3 * * *", "15 2,3 * * *",
	"0,30 0-4 * * *", "*/20 1-3 * * *", "10 0-23 * * *", "45 23 * * *", "0 6 * * *", "30 6 * * MON-FRI", "0 2 * * SUN", "30 1 * * 7", "0 0-23/3 * * SAT,SUN",
	"0 0 1 * *", "0 7 1 * *", "0 12 31 * *", "0 0 29 2 *", "0 0 1 1 *", "0 4 13 * FRI", "0 4 */2 * MON", "0 4 1-7 * */1", "30 0 30 12 *", "15 3 * 3,10 SUN", "0 2 25-31 MAR,oct,Nov *",
	"* 2 * * SUN", "* */12 1 * *",
}

// again says whether the clock shows a minute that it has shown before.
func (w *walker) again(instant time.Time) bool {
	_, offset := instant.In(w.zone).Zone()
	return (instant.Unix()+int64(offset))/60 < w.furthest
}

// asked is how many minutes lie between two at which Next is asked whatever the ticks.
const asked = 1009

// longEnv asks for the long form of the tests.
const longEnv = "BACKOFFICE_LONG"

func TestNextAgreesWithAWalkOfEveryMinute(t *testing.T) {
	t.Parallel()
	from, years := time.Date(2011, time.January, 1, 0, 0, 0, 0, time.UTC), 10
	if os.Getenv(longEnv) != "" {
		from, years = time.Date(1975, time.January, 1, 0, 0, 0, 0, time.UTC), 75
	} else if testing.Short() {
		years = 1
	}
	var lines []*naive
	for _, text := range walkLines {
		lines = append(lines, readNaive(text))
	}
	for _, name := range walkZones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			next := make([]func(time.Time) time.Time, len(lines))
			coming := make([]time.Time, len(lines))
			for i, line := range lines {
				schedule, err := periodic.ParseSpec(line.text, name)
				if err != nil {
					t.Fatal(err)
				}
				next[i], coming[i] = schedule.Next, schedule.Next(from.Add(-time.Second))
			}
			w := newWalker(zone, lines)
			w.at(from.Add(-time.Minute), nil) // what the clock showed before
			var due []int
			ticks, wrong := 0, 0
			for at, end := from, from.AddDate(years, 0, 0); at.Before(end) && wrong < 10; at = at.Add(time.Minute) {
				due = w.at(at, due)
				for _, i := range due {
					if !coming[i].Equal(at) {
						wrong++
						t.Errorf("%q is due at %s (%s), but Next says %s", lines[i].text, at.Format(time.RFC3339), at.In(zone), coming[i].In(zone))
					}
					coming[i] = next[i](at)
					ticks++
				}
				if at.Unix()/60%asked == 0 || w.again(at) { // asked between two ticks it says the same
					for i := range lines {
						if between := next[i](at); !between.Equal(coming[i]) {
							wrong++
							t.Errorf("%q is due at %s, but asked at %s Next says %s", lines[i].text, coming[i].In(zone), at.In(zone), between.In(zone))
						}
					}
				}
			}
			for i, at := range coming { // nothing that Next expects was passed over
				if at.Before(from.AddDate(years, 0, 0)) && wrong == 0 {
					t.Errorf("Next says that %q is due at %s, the walk does not", lines[i].text, at.In(zone))
				}
			}
			t.Logf("%d ticks of %d lines in %d years", ticks, len(lines), years)
		})
	}
}
