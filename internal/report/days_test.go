package report

import (
	"strings"
	"testing"
	"time"
)

func TestDayBeginsWhenItsClocksFirstShowIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, zone, day, want string }{
		{"midnight of UTC", "UTC", "2011-03-27", "2011-03-27T00:00:00Z"},
		{"midnight before the clocks change", "Europe/London", "2011-03-27", "2011-03-27T00:00:00Z"},
		{"midnight after the clocks changed", "Europe/London", "2011-03-28", "2011-03-27T23:00:00Z"},
		{"a skipped midnight: the first hour is one", "America/Sao_Paulo", "2017-10-15", "2017-10-15T03:00:00Z"},
		{"a midnight shown twice: the first time", "America/Havana", "2020-11-01", "2020-11-01T04:00:00Z"},
		{"an hour before midnight shown twice: after the second", "America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"},
		{"a skipped day: when the next one begins", "Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"},
		{"the day after a skipped one", "Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},
		{"far ahead of UTC", "Pacific/Kiritimati", "2024-02-29", "2024-02-28T10:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			if got := dayBegins(parseDay(tc.day), zone).UTC().Format(time.RFC3339); got != tc.want {
				t.Errorf("%s in %s begins at %s, want %s", tc.day, tc.zone, got, tc.want)
			}
		})
	}
}

func TestSpansCoverThePeriodAndSayWhatIsCut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, from, to, by, want string }{
		{"days", "2011-02-27", "2011-03-01", byDay, "2011-02-27: 27 Feb 2011 | 2011-02-28: 28 Feb 2011 | 2011-03-01: 1 Mar 2011"},
		{"whole months", "2010-12-01", "2011-01-31", byMonth, "2010-12: 1 to 31 Dec 2010 | 2011-01: 1 to 31 Jan 2011"},
		{"months cut at both ends", "2010-12-06", "2011-01-30", byMonth, "2010-12: 6 to 31 Dec 2010 (26 of 31 days) | 2011-01: 1 to 30 Jan 2011 (30 of 31 days)"},
		{"one day of a leap February", "2012-02-29", "2012-02-29", byMonth, "2012-02: 29 Feb 2012 (1 of 29 days)"},
		{"weeks begin on Monday, cut at both ends", "2010-12-01", "2010-12-13", byWeek,
			"2010-W48: 1 to 5 Dec 2010 (5 of 7 days) | 2010-W49: 6 to 12 Dec 2010 | 2010-W50: 13 Dec 2010 (1 of 7 days)"},
		{"a week belongs to the year of its Thursday", "2010-12-27", "2011-01-09", byWeek, "2010-W52: 27 Dec 2010 to 2 Jan 2011 | 2011-W01: 3 to 9 Jan 2011"},
		{"a week over two months", "2010-11-29", "2010-12-05", byWeek, "2010-W48: 29 Nov to 5 Dec 2010"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := &Period{From: tc.from, To: tc.to}
			var got []string
			for _, s := range p.spans(tc.by) {
				got = append(got, s.name+": "+s.String())
			}
			if all := strings.Join(got, " | "); all != tc.want {
				t.Errorf("got  %s\nwant %s", all, tc.want)
			}
		})
	}
}

// TestSpansLeaveNoDayOut counts through ten years in every way.
func TestSpansLeaveNoDayOut(t *testing.T) {
	t.Parallel()
	p := &Period{From: "2009-12-31", To: "2020-01-01"}
	first, last := p.ends()
	for _, by := range []string{byDay, byWeek, byMonth} {
		next := first
		for _, s := range p.spans(by) {
			if !s.first.Equal(next) {
				t.Fatalf("by %s: %s begins on %s, want %s", by, s.name, s.first, next)
			}
			next = s.last.AddDate(0, 0, 1)
		}
		if want := last.AddDate(0, 0, 1); !next.Equal(want) {
			t.Errorf("by %s: the last day is before %s, want %s", by, next, want)
		}
	}
}

func TestHourBeginsOnTheClocksOfItsZone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ zone, at, want string }{
		{"UTC", "2026-03-04T13:59:59Z", "2026-03-04T13:00:00Z"},
		{"Asia/Kolkata", "2026-03-04T13:59:59Z", "2026-03-04T13:30:00Z"},
		{"Asia/Kathmandu", "2026-03-04T13:14:59Z", "2026-03-04T12:15:00Z"},
		{"Europe/London", "2026-07-04T13:00:00Z", "2026-07-04T13:00:00Z"},
	} {
		zone, err := time.LoadLocation(tc.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := hourBegins(at, zone).UTC().Format(time.RFC3339); got != tc.want {
			t.Errorf("%s in %s lies in the hour from %s, want %s", tc.at, tc.zone, got, tc.want)
		}
	}
}
