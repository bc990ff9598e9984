package render_test

import (
	"testing"
	"time"

	"backoffice/internal/report/render"
)

func TestPeopleReadValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		column render.ColumnType
		value  any
		want   string
	}{
		{render.Text, "a", "a"},
		{render.Text, "", ""},
		{render.Text, nil, "–"},
		{render.Integer, int64(0), "0"},
		{render.Integer, int64(999), "999"},
		{render.Integer, int64(-1000), "−1,000"},
		{render.Integer, int64(1234567), "1,234,567"},
		{render.Money, amount("0"), "0.00"},
		{render.Money, amount("3706827.641"), "3,706,827.641"},
		{render.Money, amount("12.5000"), "12.50"},
		{render.Money, amount("-0.001"), "−0.001"},
		{render.Money, amount("-1234567"), "−1,234,567.00"},
		{render.Ratio, 0.1234, "12.3%"},
		{render.Ratio, 0.0, "0.0%"},
		{render.Ratio, 12.5, "1,250.0%"},
		{render.Ratio, 0.0004, "<0.1%"},
		{render.Ratio, -0.0004, ">−0.1%"},
		{render.Ratio, -0.25, "−25.0%"},
		{render.Ratio, amount("0.5"), "50.0%"},
		{render.Date, render.Day{Year: 2010, Month: time.December, Day: 1}, "2010-12-01"},
		{render.Instant, time.Date(2010, 12, 1, 8, 26, 0, 0, time.FixedZone("", 3600)), "2010-12-01 07:26:00"},
		{render.Seconds, int64(0), "0 s"},
		{render.Seconds, 0.0004, "0.4 ms"},
		{render.Seconds, 0.0042, "4.2 ms"},
		{render.Seconds, 0.35, "350 ms"},
		{render.Seconds, 0.9996, "1.0 s"},
		{render.Seconds, 12.34, "12.3 s"},
		{render.Seconds, 59.96, "1 min 00 s"},
		{render.Seconds, int64(90), "1 min 30 s"},
		{render.Seconds, amount("3599.6"), "1 h 00 min"},
		{render.Seconds, int64(7800), "2 h 10 min"},
		{render.Seconds, int64(90000), "1 d 01 h"},
		{render.Seconds, -12.34, "−12.3 s"},
	} {
		if got := render.Shown(tc.column, tc.value); got != tc.want {
			t.Errorf("%v is shown as %q, want %q", tc.value, got, tc.want)
		}
	}
}
