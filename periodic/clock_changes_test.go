package periodic_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"backoffice/periodic"
)

// The rule about changed clocks, case by case. Times are instants as the clocks of the zone show them, with
// their offset, so that the two passes through an hour that comes twice are told apart.
func TestTicksWhenClocksAreChanged(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, zone, spec string
		from             string
		want             []string
	}{
		{"a fixed time that is skipped runs at the first instant after the gap", "Europe/London", "30 1 * * *", "2026-03-28T00:00:00Z",
			[]string{"28 01:30 +0000", "29 02:00 +0100", "30 01:30 +0100"}},
		{"several skipped times of one line fall on one tick", "Europe/London", "0,15,30,45 1 * * *", "2026-03-29T00:00:00Z",
			[]string{"29 02:00 +0100", "30 01:00 +0100", "30 01:15 +0100"}},
		{"they fall on the tick that the line has there anyway", "Europe/London", "0,30 1-2 * * *", "2026-03-29T00:00:00Z",
			[]string{"29 02:00 +0100", "29 02:30 +0100", "30 01:00 +0100"}},
		{"a time before the gap and one after it stay", "Europe/London", "59 0,2 * * *", "2026-03-29T00:00:00Z",
			[]string{"29 00:59 +0000", "29 02:59 +0100", "30 00:59 +0100"}},
		{"a fixed time that comes twice runs the first time only", "Europe/London", "30 1 * * *", "2026-10-24T12:00:00Z",
			[]string{"25 01:30 +0100", "26 01:30 +0000"}},
		{"asked between the two it waits for the next day", "Europe/London", "30 1 * * *", "2026-10-25T00:45:00Z",
			[]string{"26 01:30 +0000"}},
		{"asked in the second pass it waits for the next day", "Europe/London", "30 1 * * *", "2026-10-25T01:10:00Z",
			[]string{"26 01:30 +0000"}},
		{"asked in the second pass it goes on once that has ended", "Europe/London", "*/30 0-23 * * *", "2026-10-25T01:10:00Z",
			[]string{"25 02:00 +0000", "25 02:30 +0000"}},
		{"asked at the change it waits for the next day", "Europe/London", "0 1 * * *", "2026-10-25T01:00:00Z",
			[]string{"26 01:00 +0000"}},
		{"a list of hours is about fixed times: the hour runs once", "Europe/London", "0 0,1,2 * * *", "2026-10-24T12:00:00Z",
			[]string{"25 00:00 +0100", "25 01:00 +0100", "25 02:00 +0000", "26 00:00 +0000"}},
		{"so is a range of all hours", "Europe/London", "30 0-23 * * *", "2026-10-24T23:00:00Z",
			[]string{"25 00:30 +0100", "25 01:30 +0100", "25 02:30 +0000"}},
		{"and a range of all hours with a step", "Europe/London", "30 0-23/1 * * *", "2026-03-29T00:00:00Z",
			[]string{"29 00:30 +0000", "29 02:00 +0100", "29 02:30 +0100"}},
		{"and a list that holds a star", "Europe/London", "30 *,1 * * *", "2026-10-24T23:00:00Z",
			[]string{"25 00:30 +0100", "25 01:30 +0100", "25 02:30 +0000"}},

		{"every hour goes on through an hour that comes twice", "Europe/London", "0 * * * *", "2026-10-24T23:30:00Z",
			[]string{"25 01:00 +0100", "25 01:00 +0000", "25 02:00 +0000"}},
		{"every quarter too", "Europe/London", "*/15 * * * *", "2026-10-25T00:30:00Z",
			[]string{"25 01:45 +0100", "25 01:00 +0000", "25 01:15 +0000"}},
		{"every hour goes on over an hour that is skipped", "Europe/London", "0 * * * *", "2026-03-28T23:30:00Z",
			[]string{"29 00:00 +0000", "29 02:00 +0100", "29 03:00 +0100"}},
		{"every second hour leaves out the one that is skipped", "Europe/Berlin", "0 */2 * * *", "2026-03-28T22:30:00Z",
			[]string{"29 00:00 +0100", "29 04:00 +0200"}},
		{"every second hour runs twice in the one that comes twice", "Europe/Berlin", "0 */2 * * *", "2026-10-24T21:30:00Z",
			[]string{"25 00:00 +0200", "25 02:00 +0200", "25 02:00 +0100", "25 04:00 +0100"}},
		{"*/1 is every hour", "Europe/London", "0 */1 * * *", "2026-10-24T23:30:00Z",
			[]string{"25 01:00 +0100", "25 01:00 +0000"}},
		{"an interval knows no clocks", "Europe/London", "every 30m", "2026-10-25T00:30:00Z",
			[]string{"25 01:00 +0000", "25 01:30 +0000", "25 02:00 +0000"}},

		{"half an hour is skipped", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
			[]string{"04 02:30 +1100", "05 02:15 +1100"}},
		{"half an hour comes twice", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z",
			[]string{"05 01:45 +1100", "06 01:45 +1030"}},
		{"and every half hour three times between one and two", "Australia/Lord_Howe", "*/30 * * * *", "2026-04-04T14:00:00Z",
			[]string{"05 01:30 +1100", "05 01:30 +1030", "05 02:00 +1030"}},
		{"clocks half an hour from the others", "America/St_Johns", "30 2 * * *", "2026-03-07T12:00:00Z",
			[]string{"08 03:00 -0230", "09 02:30 -0230"}},
		{"no change, and half an hour from the others", "Asia/Kolkata", "30 6 * * *", "2026-03-07T12:00:00Z",
			[]string{"08 06:30 +0530", "09 06:30 +0530"}},

		{"midnight is skipped", "America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z",
			[]string{"04 01:00 -0200", "05 00:00 -0200"}},
		{"midnight comes twice", "America/Sao_Paulo", "0 0 * * *", "2019-02-16T12:00:00Z",
			[]string{"17 00:00 -0300", "18 00:00 -0300"}},
		{"the hour before it comes twice", "America/Sao_Paulo", "30 23 * * *", "2019-02-16T12:00:00Z",
			[]string{"16 23:30 -0200", "17 23:30 -0300"}},
		{"a skipped midnight belongs to the day that it begins", "America/Sao_Paulo", "0 0 * * SUN", "2018-11-03T12:00:00Z",
			[]string{"04 01:00 -0200", "11 00:00 -0200"}},
		{"a day that never was runs at the first instant after it", "Pacific/Apia", "0 6 * * *", "2011-12-29T12:00:00Z",
			[]string{"29 06:00 -1000", "31 00:00 +1400", "31 06:00 +1400"}},
		{"so does one named by its date", "Pacific/Apia", "0 6 30 12 *", "2011-12-01T00:00:00Z",
			[]string{"31 00:00 +1400"}},
		{"clocks go back in spring", "Africa/Casablanca", "30 2 * * *", "2026-02-14T12:00:00Z",
			[]string{"15 02:30 +0100", "16 02:30 +0000"}},
		{"and forward when Ramadan has ended", "Africa/Casablanca", "30 2 * * *", "2026-03-21T12:00:00Z",
			[]string{"22 03:00 +0100", "23 02:30 +0100"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			schedule, err := periodic.ParseSpec(tc.spec, tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range tc.want {
				next := schedule.Next(at)
				if again := schedule.Next(next.Add(-time.Nanosecond)); !next.After(at) || !again.Equal(next) {
					t.Fatalf("after %s comes %s, and a nanosecond before it %s", at, next, again)
				}
				at = next
				got = append(got, at.In(zone).Format("02 15:04 -0700"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ticks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTicksOfTheCalendar(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, spec, after, want string }{
		{"both day fields name days: either is meant", "0 0 13 * FRI", "2026-02-01", "2026-02-06 2026-02-13 2026-02-20 2026-02-27 2026-03-06 2026-03-13"},
		{"a day field that begins with a star: both are meant", "0 0 */2 * FRI", "2026-02-01", "2026-02-13 2026-02-27 2026-03-13"},
		{"whichever it is", "0 0 13 * */5", "2026-02-01", "2026-02-13 2026-03-13 2026-09-13"},
		{"the first days of a month, on any weekday", "0 0 1-7 * */1", "2026-02-04", "2026-02-05 2026-02-06 2026-02-07 2026-03-01"},
		{"29 February", "0 0 29 2 *", "2026-01-01", "2028-02-29 2032-02-29 2036-02-29"},
		{"29 February over a century that does not leap", "0 0 29 2 *", "2095-01-01", "2096-02-29 2104-02-29"},
		{"29 February on a Sunday, over that century", "0 0 29 2 */7", "2080-01-01", "2088-02-29 2128-02-29"},
		{"31 of the months that have it", "0 0 31 * *", "2026-01-31", "2026-03-31 2026-05-31 2026-07-31 2026-08-31"},
		{"a month from one year into the next", "0 0 1 NOV,FEB *", "2026-03-01", "2026-11-01 2027-02-01"},
		{"30 February or a Monday of February", "0 0 30 2 1", "2026-02-20", "2026-02-23 2027-02-01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			schedule, err := periodic.ParseSpec(tc.spec, "UTC")
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.DateOnly, tc.after)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Fields(tc.want)
			var got []string
			for range want {
				at = schedule.Next(at)
				got = append(got, at.Format(time.DateOnly))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("ticks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryTicksOnWholeMultiples(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ spec, after, want string }{
		{"every 30s", "2026-03-04T12:00:00Z", "2026-03-04T12:00:30Z"},
		{"every 30s", "2026-03-04T12:00:29.999999999Z", "2026-03-04T12:00:30Z"},
		{"every 30s", "2026-03-04T12:00:30Z", "2026-03-04T12:01:00Z"},
		{"every 7s", "1970-01-01T00:00:00Z", "1970-01-01T00:00:07Z"},
		{"every 7s", "1969-12-31T23:59:58.5Z", "1970-01-01T00:00:00Z"},
		{"every 48h", "2026-03-04T12:00:00Z", "2026-03-06T00:00:00Z"},
	} {
		schedule, err := periodic.ParseSpec(tc.spec, "Europe/London")
		if err != nil {
			t.Fatal(err)
		}
		after, err := time.Parse(time.RFC3339, tc.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule.Next(after).Format(time.RFC3339); got != tc.want {
			t.Errorf("%s after %s: %s, want %s", tc.spec, tc.after, got, tc.want)
		}
	}
}

// FuzzNext reads any spec in any zone. What is read has ticks that follow each other, and each field says of
// a cron line's ticks what an independent reading says.
func FuzzNext(f *testing.F) {
	for i, line := range walkLines {
		f.Add(line, walkZones[i%len(walkZones)], int64(1.77e9)+int64(i)*86_400*17)
	}
	for _, spec := range []string{"@weekly", "every 1m30s", "@", "every", "0 0 29 2 */7", "*/59 */23 */30 */11 */7", "0 0 31 4 *"} {
		f.Add(spec, "Europe/London", int64(1774746000))
	}
	f.Fuzz(func(t *testing.T, spec, timezone string, after int64) {
		if after < -4e9 || after > 6e9 { // 1843 to 2160
			return
		}
		schedule, err := periodic.ParseSpec(spec, timezone)
		if err != nil {
			return
		}
		at := time.Unix(after, 0)
		for range 4 {
			next := schedule.Next(at)
			if !next.After(at) {
				t.Fatalf("%q in %q: after %s comes %s", spec, timezone, at, next)
			}
			if between := at.Add(next.Sub(at) / 2); !schedule.Next(between).Equal(next) {
				t.Fatalf("%q in %q: between %s and %s there is %s", spec, timezone, at, next, schedule.Next(between))
			}
			if !schedule.Next(next.Add(-time.Microsecond)).Equal(next) {
				t.Fatalf("%q in %q: %s is no tick", spec, timezone, next)
			}
			at = next
		}
	})
}
