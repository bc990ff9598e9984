package main

import (
	"log/slog"
	"math"
	"regexp"
	"testing"
	"time"
)

func TestDurationsInLogsHaveTheirUnit(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		math.MaxInt64:               "2561944h26m40s",
		math.MinInt64:               "-2561944h26m40s",
		113_588_378:                 "113.6ms",
		1_234_567_890:               "1.235s",
		340_400:                     "340µs",
		0:                           "0s",
		time.Hour + 123_456_789_012: "1h2m3s",
	} {
		if got := readableDuration(nil, slog.Duration("took", d)); got.Value.String() != want || got.Value.Kind() != slog.KindString {
			t.Errorf("%d is logged as %s, want %s", d, got.Value, want)
		}
	}
	if got := readableDuration(nil, slog.Int("count", 3)); got.Value.Kind() != slog.KindInt64 {
		t.Errorf("a count is logged as %s", got.Value)
	}
	s := newShop(t)
	s.fill(1)
	if logged := s.try("worker", "--once", "--log-format", "json").stderr; !regexp.MustCompile(`"took":"[0-9.]+(µs|ms|s)"`).MatchString(logged) {
		t.Errorf("no duration of a job in %s", logged)
	}
}
