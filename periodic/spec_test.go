package periodic_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"backoffice/jobs"
	"backoffice/periodic"
)

func TestSpecIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, spec, want string }{
		{"nothing", "", "has 0 fields"},
		{"an interval without its word", "30s", "has 1 fields"},
		{"four fields", "0 6 * *", "has 4 fields"},
		{"seconds", "0 0 6 * * *", "has 6 fields"},
		{"a name nobody knows", "@fortnightly", "no such name; there are @annually, @daily"},
		{"a name in capitals", "@DAILY", "no such name"},
		{"an event that is no time", "@reboot", "no such name"},

		{"an interval of nothing", "every ", `the interval ""`},
		{"an interval in words", "every day", `the interval "day"`},
		{"an interval of zero", "every 0s", `the interval "0s"`},
		{"an interval below a second", "every 500ms", `whole seconds from 1s`},
		{"an interval of one second and a half", "every 1500ms", `whole seconds`},
		{"an interval back in time", "every -1m", `the interval "-1m"`},
		{"an interval of more than a year", "every 9000h", `to 8784h`},

		{"a minute too high", "60 * * * *", `the minute "60" names "60"; take 0 to 59`},
		{"an hour too high", "0 24 * * *", `the hour "24" names "24"; take 0 to 23`},
		{"a day too low", "0 0 0 * *", `the day-of-month "0" names "0"; take 1 to 31`},
		{"a month too high", "0 0 * 13 *", `the month "13" names "13"; take 1 to 12 or JAN to DEC`},
		{"a weekday too high", "0 0 * * 8", `the day-of-week "8" names "8"; take 0 to 7 or SUN to SAT`},
		{"a name of no month", "0 0 * JUNE *", `names "JUNE"`},
		{"a month for a weekday", "0 0 * * JAN", `names "JAN"`},
		{"a sign", "+5 * * * *", `names "+5"`},
		{"below zero", "-5 * * * *", `names ""`},
		{"a fraction", "1.5 * * * *", `names "1.5"`},
		{"other digits", "５ * * * *", `names "５"`},
		{"a number of no end", "99999999999999999999 * * * *", `names "99999999999999999999"`},
		{"an empty item", "1,,2 * * * *", `names ""`},
		{"a list without its end", "1, * * * *", `names ""`},
		{"a range without its end", "1- * * * *", `names ""`},
		{"a range of three", "1-2-3 * * * *", `names "2-3"`},
		{"a range around the clock", "0 22-2 * * *", `ends before it begins; write it in two, such as 22-23,0-2`},
		{"a range around the week", "0 0 * * FRI-MON", `ends before it begins; write it in two, such as FRI-7,0-MON`},
		{"a step of zero", "*/0 * * * *", `has the step "0"; take a number from 1 to 59`},
		{"a step beyond the hour", "*/90 * * * *", `has the step "90"`},
		{"a step of nothing", "*/ * * * *", `has the step ""`},
		{"two steps", "*/2/3 * * * *", `has the step "2/3"`},
		{"a step after one value", "5/15 * * * *", `has a step after a single value; write a range such as 5-59/2`},
		{"a question mark", "0 0 ? * *", `names "?"`},
		{"the last day", "0 0 L * *", `names "L"`},

		{"30 February", "0 0 30 2 *", "names a date that never comes"},
		{"31 of short months", "0 0 31 4,6,9,11 *", "names a date that never comes"},
		{"30 February on every other weekday", "0 0 30 2 */2", "names a date that never comes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			schedule, err := periodic.ParseSpec(tc.spec, "UTC")
			if err == nil {
				t.Fatalf("%q was read as %+v", tc.spec, schedule)
			}
			if !strings.HasPrefix(err.Error(), "spec ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q, want %q in it", err, tc.want)
			}
			if !errors.Is(err, periodic.ErrInvalid) || periodic.FieldOf(err) != "spec" {
				t.Errorf("error is about %q, want an invalid spec", periodic.FieldOf(err))
			}
		})
	}
}

func TestTimezoneIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Lodnon", "Local", "../etc/passwd", "/etc/localtime", "UTC+1", "a\x00b"} {
		if _, err := periodic.ParseZone(name); !errors.Is(err, periodic.ErrInvalid) || periodic.FieldOf(err) != "timezone" || !strings.Contains(err.Error(), "is unknown; use a name like Europe/London") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "UTC", "Europe/London", "Etc/GMT+5", "America/Argentina/Ushuaia"} {
		if _, err := periodic.ParseZone(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// sameSpecs mean the same in each row.
var sameSpecs = [][]string{
	{"@hourly", "0 * * * *", "00 * * * *", "0  *\t* * *", " 0 * * * * "},
	{"@daily", "@midnight", "0 0 * * *", "0 0 1-31 * *", "0 0 * 1-12 *", "0 0 * JAN-DEC *", "0 0 * * 0-6", "0 0 * * 1-7", "0 0 * * MON-SUN", "0 0 * * SUN-SAT"},
	{"@weekly", "0 0 * * 0", "0 0 * * 7", "0 0 * * SUN", "0 0 * * sun", "0 0 * * 7-7", "0 0 * * */7", "0 0 */1 * Sun"},
	{"@monthly", "0 0 1 * *", "0 0 1 */1 *"},
	{"@yearly", "@annually", "0 0 1 1 *", "0 0 1 jan *"},
	{"*/15 * * * *", "0-59/15 * * * *", "0,15,30,45 * * * *", "45,30,15,0,0 * * * *", "0-45/15 * * * *"},
	{"30 6 * * MON-FRI", "30 6 * * 1-5", "30 6 * * 1,2,3,4,5", "30 6 * * MON,TUE-THU,5", "30 6 * * mon-wed,thu-fri"},
	{"0 9-17/4 * * *", "0 9,13,17 * * *"},
	{"0 0 * * FRI-SUN", "0 0 * * 5-7", "0 0 * * 5-0", "0 0 * * 0,5,6", "0 0 * * SAT-SUN,FRI"},
	{"0 0 13 * FRI", "0 0 13-13 * 5"}, // either day
	{"every 90s", "every 1m30s"},
	{"every 24h", "every 1440m"},
}

func TestSpecsOfOneMeaningHaveTheSameTicks(t *testing.T) {
	t.Parallel()
	for _, row := range sameSpecs {
		first, err := periodic.ParseSpec(row[0], "UTC")
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range row[1:] {
			other, err := periodic.ParseSpec(spec, "UTC")
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			at := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
			for range 200 {
				want, got := first.Next(at), other.Next(at)
				if !got.Equal(want) {
					t.Errorf("%q is next due at %s after %s, but %q at %s", spec, got, at, row[0], want)
					break
				}
				at = want
			}
		}
	}
}

func TestBuiltInTimetableFitsRiver(t *testing.T) {
	t.Parallel()
	off := 0
	for _, entry := range periodic.BuiltIn("Europe/London") {
		schedule, err := periodic.ParseSpec(entry.Spec, entry.Timezone)
		if err != nil {
			t.Errorf("%s: %v", entry.Name, err)
			continue
		}
		if err := entry.Args.Contract().Check(); err != nil {
			t.Errorf("%s: %v", entry.Name, err)
		}
		if err := entry.Args.Validate(); err != nil {
			t.Errorf("%s: %v", entry.Name, err)
		}
		if ticked, ok := entry.Args.(jobs.Ticked); ok {
			if args, err := ticked.At(schedule.Next(time.Now())); err != nil || args.Validate() != nil {
				t.Errorf("%s at its next tick: %+v, %v", entry.Name, args, err)
			}
		}
		if entry.Off {
			off++
		}
		river.NewPeriodicJob(schedule, func() (river.JobArgs, *river.InsertOpts) { return entry.Args, nil }, nil)
	}
	if off != 2 {
		t.Errorf("%d entries are off, want those of the week and of the month", off)
	}
}

func TestJitterFollowsFromNameAndTick(t *testing.T) {
	t.Parallel()
	const longest = 30 * time.Second
	var sum time.Duration
	seen := map[time.Duration]bool{}
	tick := time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)
	const ticks = 1000
	for n := range ticks {
		at := tick.Add(time.Duration(n) * time.Minute)
		start := periodic.Postponed("stock-report", at, longest)
		by := start.Sub(at)
		if by < 0 || by > longest || !start.Equal(periodic.Postponed("stock-report", at.In(time.FixedZone("", 3600)), longest)) {
			t.Fatalf("tick %s starts at %s", at, start)
		}
		sum += by
		seen[by] = true
	}
	if mean := sum / ticks; mean < longest*2/5 || mean > longest*3/5 || len(seen) < ticks*9/10 {
		t.Errorf("the mean jitter is %s of %s, with %d different ones of %d", mean, longest, len(seen), ticks)
	}
	if periodic.Postponed("a", tick, longest).Equal(periodic.Postponed("b", tick, longest)) {
		t.Error("two schedules start at once")
	}
	if start := periodic.Postponed("a", tick, 0); !start.Equal(tick) {
		t.Errorf("without jitter the tick starts at %s", start)
	}
}
