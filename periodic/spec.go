package periodic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
)

// nicknames are the specs that stand for a cron line.
var nicknames = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// ParseSpec reads when a schedule is due: a cron line of five fields such as "30 6 * * MON-FRI" (see Cron),
// one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually, or a fixed interval such as
// "every 30s" (see Every). The timezone is that of a cron line; see ParseZone. What can never be due is
// refused. ErrInvalid.
func ParseSpec(spec, timezone string) (river.PeriodicSchedule, error) {
	zone, err := ParseZone(timezone)
	if err != nil {
		return nil, err
	}
	schedule, err := parseSpec(spec, zone)
	if err != nil {
		return nil, say(ErrInvalid, "spec", "spec %.200q: %s", spec, err)
	}
	return schedule, nil
}

func parseSpec(spec string, zone *time.Location) (river.PeriodicSchedule, error) {
	if text, interval := strings.CutPrefix(spec, "every "); interval {
		return parseEvery(text)
	}
	line := spec
	if strings.HasPrefix(spec, "@") {
		var known bool
		if line, known = nicknames[spec]; !known {
			return nil, fmt.Errorf("no such name; there are %s", strings.Join(slices.Sorted(maps.Keys(nicknames)), ", "))
		}
	}
	return parseCron(line, zone)
}

// ParseZone reads the name of a timezone as the IANA database has it, such as Europe/London; empty is
// UTC. ErrInvalid: there is none of that name.
func ParseZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // which would be another one in each process
		return nil, say(ErrInvalid, "timezone", "timezone %.100q is unknown; use a name like Europe/London or UTC", name)
	}
	return zone, nil
}

// Every is a schedule of a fixed interval whose ticks lie on whole multiples of it since the Unix epoch, so
// that every process computes the same ticks. It is of whole seconds, from one to longestEvery.
type Every time.Duration

const longestEvery = 366 * 24 * time.Hour

func parseEvery(text string) (Every, error) {
	interval, err := time.ParseDuration(text)
	if err != nil || interval < time.Second || interval > longestEvery || interval%time.Second != 0 {
		return 0, fmt.Errorf("the interval %q is no duration of whole seconds from 1s to %.0fh; write it as \"every 30s\" or \"every 2h\"", text, longestEvery.Hours())
	}
	return Every(interval), nil
}

// Next is the first tick after the given instant.
func (e Every) Next(after time.Time) time.Time {
	interval := int64(time.Duration(e) / time.Second)
	elapsed := after.Unix() // rounded down, before 1970 too
	into := ((elapsed % interval) + interval) % interval
	return time.Unix(elapsed-into+interval, 0).UTC()
}
