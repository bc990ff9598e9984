package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Ticked is what args offer that depend on when they were due: a timetable holds "yesterday", a job the day.
// Whoever enqueues calls At with the instant of the tick, or with the present if there is none, so that
// a job worked late or twice is still about the same days.
type Ticked interface {
	Args
	// At answers the args with everything in it that depends on the tick resolved.
	At(tick time.Time) (Args, error)
}

// At puts the first and the last day of Period, as seen at the tick in Timezone, into Params as from, to
// and timezone. Args without a period are answered as they are.
func (a GenerateReportArgs) At(tick time.Time) (Args, error) {
	if a.Period == "" {
		return a, nil
	}
	zone, err := time.LoadLocation(a.Timezone)
	if err != nil {
		return nil, fmt.Errorf("args: field \"timezone\": %w", err)
	}
	params := map[string]json.RawMessage{}
	if len(a.Params) > 0 {
		if err := json.Unmarshal(a.Params, &params); err != nil {
			return nil, fmt.Errorf("args: field \"params\" wants an object: %w", err)
		}
		if params == nil {
			return nil, errors.New("args: field \"params\" wants an object, not null; leave it out")
		}
	}
	from, to := periodDays(a.Period, tick.In(zone))
	for name, value := range map[string]string{"from": from, "to": to, "timezone": zone.String()} {
		if _, given := params[name]; given {
			return nil, fmt.Errorf("args: \"period\" decides what %q in \"params\" is; leave one of the two out", name)
		}
		params[name] = json.RawMessage(fmt.Sprintf("%q", value))
	}
	if a.Params, err = json.Marshal(params); err != nil {
		return nil, fmt.Errorf("args: encode params: %w", err)
	}
	a.Period, a.Timezone = "", ""
	return a, nil
}

// periodDays are the first and the last day of a period that ended before the given local time. A week
// begins on Monday (ISO 8601).
func periodDays(period string, at time.Time) (from, to string) {
	year, month, day := at.Date()
	date := func(y int, m time.Month, d int) string {
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	switch period {
	case "last-week":
		monday := day - (int(at.Weekday())+6)%7
		return date(year, month, monday-7), date(year, month, monday-1)
	case "last-month":
		return date(year, month-1, 1), date(year, month, 0)
	default: // yesterday
		return date(year, month, day-1), date(year, month, day-1)
	}
}
