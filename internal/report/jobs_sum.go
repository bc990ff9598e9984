package report

import (
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// jobFigures are what one line of a report on jobs tells.
type jobFigures struct {
	completed, cancelled, discarded, failedAttempts int64
	wait, run                                       percentiles
}

// percentiles are the 50th, 95th and 99th of a time, in microseconds; nil without any.
type percentiles []int64

// p95 in seconds, to draw; zero without any.
func (p percentiles) p95() float64 {
	if p == nil {
		return 0
	}
	return float64(p[1]) / 1e6
}

// jobSums add up jobs until their percentiles can be told.
type jobSums struct {
	jobFigures
	waits, runs histogram
}

func (s *jobSums) add(found ended) {
	switch {
	case found.Wait != nil:
		s.waits.add(*found.Wait, found.Jobs)
	case found.Run != nil:
		s.runs.add(*found.Run, found.Jobs)
	case found.State == "completed":
		s.completed += found.Jobs
		s.failedAttempts += found.Failed
	case found.State == "cancelled":
		s.cancelled += found.Jobs
		s.failedAttempts += found.Failed
	case found.State == "discarded":
		s.discarded += found.Jobs
		s.failedAttempts += found.Failed
	}
}

// merge adds the jobs of another time.
func (s *jobSums) merge(more *jobSums) {
	s.completed += more.completed
	s.cancelled += more.cancelled
	s.discarded += more.discarded
	s.failedAttempts += more.failedAttempts
	s.waits.merge(more.waits)
	s.runs.merge(more.runs)
}

// figures are the sums, without the times they were made from.
func (s *jobSums) figures() jobFigures {
	f := s.jobFigures
	f.wait, f.run = s.waits.percentiles(), s.runs.percentiles()
	return f
}

// histogram counts times, in microseconds of three significant digits: at most a few thousand different ones.
type histogram map[int64]int64

func (h *histogram) add(micros, n int64) {
	if *h == nil {
		*h = histogram{}
	}
	(*h)[micros] += n
}

func (h *histogram) merge(more histogram) {
	for micros, n := range more {
		h.add(micros, n)
	}
}

var ranks = [...]int64{50, 95, 99}

// percentiles are the times that 50, 95 and 99 of a hundred do not exceed.
func (h histogram) percentiles() percentiles {
	var all int64
	for _, n := range h {
		all += n
	}
	if all == 0 {
		return nil
	}
	var found percentiles
	var counted int64
	for _, micros := range slices.Sorted(maps.Keys(h)) {
		counted += h[micros]
		for len(found) < len(ranks) && counted*100 >= all*ranks[len(found)] {
			found = append(found, micros)
		}
	}
	return found
}

// seconds are the percentiles as values of a table.
func (f jobFigures) seconds() []any {
	row := make([]any, 0, 6)
	for _, of := range []percentiles{f.wait, f.run} {
		for i := range ranks {
			if of == nil {
				row = append(row, nil)
			} else {
				row = append(row, decimal.New(of[i], -6))
			}
		}
	}
	return row
}

// hourOf is what jobs of one kind did in one hour.
type hourOf struct {
	kind  string
	hour  time.Time // its begin
	tells jobFigures
}

// jobRunsFound is a whole report on jobs.
type jobRunsFound struct {
	hours  []hourOf // by hour, then kind; those without a job are left out
	totals map[string]*jobSums
}

// endHour moves the sums of an hour to the hours and the totals.
func (f *jobRunsFound) endHour(hour time.Time, sums map[string]*jobSums) {
	for _, kind := range slices.Sorted(maps.Keys(sums)) {
		f.hours = append(f.hours, hourOf{kind: kind, hour: hour, tells: sums[kind].figures()})
		if f.totals[kind] == nil {
			f.totals[kind] = &jobSums{}
		}
		f.totals[kind].merge(sums[kind])
	}
}
