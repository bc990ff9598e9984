package bench

import (
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var sample durations
	for n := 100; n >= 1; n-- {
		sample = append(sample, time.Duration(n)*time.Millisecond)
	}
	figures := Figures{}
	sample.figuresTo(figures, "pickup")
	for name, want := range map[string]float64{"pickup p50 ms": 51, "pickup p95 ms": 96, "pickup p99 ms": 100} {
		if figures[name] != want {
			t.Errorf("%s = %v, want %v", name, figures[name], want)
		}
	}
}

func TestBucketsCountEachDurationOnce(t *testing.T) {
	t.Parallel()
	sample := durations{0, 249 * time.Microsecond, 250 * time.Microsecond, 3 * time.Millisecond, time.Hour}
	want := [bucketCount]int{0: 2, 1: 1, 4: 1, bucketCount - 1: 1}
	if got := sample.buckets(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	figures := Figures{}
	sample.figuresTo(figures, "commit")
	if got := figures[histogramPrefix+"commit, bucket 05, below 4 ms"]; got != 1 {
		t.Errorf("the bucket of 3 ms holds %v; figures: %v", got, figures)
	}
}

func TestNoSampleHasNoFigures(t *testing.T) {
	t.Parallel()
	figures := Figures{}
	durations(nil).figuresTo(figures, "commit")
	if len(figures) != 0 {
		t.Errorf("figures of nothing: %v", figures)
	}
}
