package jobs_test

import (
	"testing"
	"time"

	"backoffice/jobs"
)

func TestPeriodIsThatOfTheTick(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, period, timezone, tick, want string }{
		{"yesterday", "yesterday", "Europe/London", "2011-01-01T06:00:00Z", `{"from":"2010-12-31","timezone":"Europe/London","to":"2010-12-31"}`},
		{"yesterday, where it is another day", "yesterday", "Asia/Tokyo", "2011-05-31T15:00:00Z", `{"from":"2011-05-31","timezone":"Asia/Tokyo","to":"2011-05-31"}`},
		{"yesterday over a change of clocks", "yesterday", "Europe/London", "2011-03-28T00:30:00+01:00", `{"from":"2011-03-27","timezone":"Europe/London","to":"2011-03-27"}`},
		{"last week, asked on a Sunday", "last-week", "", "2011-05-15T23:59:00Z", `{"from":"2011-05-02","timezone":"UTC","to":"2011-05-08"}`},
		{"last week, asked on a Monday", "last-week", "", "2011-05-16T00:00:00Z", `{"from":"2011-05-09","timezone":"UTC","to":"2011-05-15"}`},
		{"last month, of another year", "last-month", "", "2011-01-31T12:00:00Z", `{"from":"2010-12-01","timezone":"UTC","to":"2010-12-31"}`},
		{"last month, a February", "last-month", "", "2012-03-31T12:00:00Z", `{"from":"2012-02-01","timezone":"UTC","to":"2012-02-29"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tick, err := time.Parse(time.RFC3339, tc.tick)
			if err != nil {
				t.Fatal(err)
			}
			args, err := jobs.GenerateReportArgs{Type: "sales-summary", Format: "csv", Period: tc.period, Timezone: tc.timezone}.At(tick)
			if err != nil {
				t.Fatalf("At: %v", err)
			}
			got := args.(jobs.GenerateReportArgs)
			if string(got.Params) != tc.want || got.Period != "" || got.Timezone != "" {
				t.Errorf("At = %+v with params %s, want params %s", got, got.Params, tc.want)
			}
		})
	}
	twice := jobs.GenerateReportArgs{Type: "sales-summary", Format: "csv", Period: "yesterday", Params: []byte(`{"from": "2011-01-01"}`)}
	if args, err := twice.At(time.Now()); err == nil {
		t.Errorf("a period beside a first day was answered as %+v", args)
	}
	null := jobs.GenerateReportArgs{Type: "sales-summary", Format: "csv", Period: "yesterday", Params: []byte(`null`)}
	if args, err := null.At(time.Now()); err == nil {
		t.Errorf("parameters that are null were answered as %+v", args)
	}
}
