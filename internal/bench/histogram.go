package bench

import (
	"fmt"
	"slices"
	"time"
)

// durations are a sample of what took how long.
type durations []time.Duration

// quantile answers the smallest duration that the share of the sample does not exceed, in milliseconds.
func (d durations) quantile(share float64) float64 {
	sorted := slices.Sorted(slices.Values(d))
	return milliseconds(sorted[min(len(sorted)-1, int(share*float64(len(sorted))))])
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// figuresTo adds the quantiles of the sample, and how many of it fell into which bucket.
func (d durations) figuresTo(figures Figures, what string) {
	if len(d) == 0 {
		return
	}
	figures[what+" p50 ms"] = d.quantile(0.50)
	figures[what+" p95 ms"] = d.quantile(0.95)
	figures[what+" p99 ms"] = d.quantile(0.99)
	for n, count := range d.buckets() {
		figures[fmt.Sprintf("%s%s, bucket %02d, below %s ms", histogramPrefix, what, n+1, number(milliseconds(firstBucket<<n)))] = float64(count)
	}
}

// histogramPrefix begins the names of figures that are buckets: only --output json has them.
const histogramPrefix = "histogram: "

// The buckets: the bound of each is twice that of the one before.
const (
	firstBucket = 250 * time.Microsecond
	bucketCount = 16 // up to 8 s; what took longer is in the last
)

// buckets counts the sample: each bucket what is below its bound and not in the buckets before it.
func (d durations) buckets() [bucketCount]int {
	var counts [bucketCount]int
	for _, took := range d {
		n := 0
		for n < bucketCount-1 && took >= firstBucket<<n {
			n++
		}
		counts[n]++
	}
	return counts
}
