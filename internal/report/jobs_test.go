package report_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"backoffice/internal/report/render"
)

// endedJob is a job as a test inserts it.
type endedJob struct {
	kind, state                     string
	scheduled, attempted, finalized time.Time
	failed                          int
	cancelled                       bool // from outside
}

func (m market) insertJobs(all []endedJob) {
	m.t.Helper()
	for _, j := range all {
		metadata, failures := "{}", `array_fill('{"error": "no luck"}'::jsonb, array[$6::int])`
		if j.cancelled {
			metadata = `{"cancel_attempted_at": "2026-03-04T00:00:00Z"}`
		}
		m.exec(`insert into river_job (kind, state, args, max_attempts, scheduled_at, attempted_at, finalized_at, errors, metadata, attempt)
		        values ($1, $2::text::river_job_state, '{}', 25, $3, $4, $5, `+failures+`, $7::text::jsonb, 1)`,
			j.kind, j.state, j.scheduled, j.attempted, j.finalized, j.failed, metadata)
	}
}

// strayJobs end in the first days of March, in all ways, after times from microseconds to hours.
func strayJobs(rng *rand.Rand, n int) []endedJob {
	all := make([]endedJob, n)
	for i := range all {
		lasted := func() time.Duration {
			return time.Duration(math.Exp(rng.Float64()*22)) * time.Microsecond // to an hour
		}
		j := endedJob{kind: []string{"process_order", "process_order", "clean_up", "generate_report"}[rng.IntN(4)],
			state: []string{"completed", "completed", "completed", "completed", "discarded", "cancelled"}[rng.IntN(6)], failed: max(0, rng.IntN(6)-3)}
		j.cancelled = j.state == "cancelled" && rng.IntN(2) == 0
		j.finalized = day(1, 0).Add(time.Duration(rng.Int64N(int64(36 * time.Hour)))).Truncate(time.Microsecond)
		j.attempted = j.finalized.Add(-lasted())
		j.scheduled = j.attempted.Add(-lasted())
		all[i] = j
	}
	return all
}

// toldJobs is the figures of jobs, worked out by sorting their times.
func toldJobs(all []endedJob) string {
	states := map[string]int{}
	failed := 0
	var waits, runs []time.Duration
	for _, j := range all {
		states[j.state]++
		failed += j.failed
		waits = append(waits, j.attempted.Sub(j.scheduled))
		if !j.cancelled {
			runs = append(runs, j.finalized.Sub(j.attempted))
		}
	}
	return fmt.Sprintf("%d|%d|%d|%d|%s|%s", states["completed"], states["cancelled"], states["discarded"], failed, ranked(waits), ranked(runs))
}

// ranked is the 50th, 95th and 99th percentile: the least time that so many do not exceed.
func ranked(times []time.Duration) string {
	if len(times) == 0 {
		return "-|-|-"
	}
	slices.Sort(times)
	var texts []string
	for _, percent := range []int{50, 95, 99} {
		nth := (len(times)*percent + 99) / 100
		texts = append(texts, threeDigits(times[nth-1]))
	}
	return strings.Join(texts, "|")
}

// threeDigits writes seconds by way of a text with an exponent.
func threeDigits(d time.Duration) string {
	micros := d.Microseconds()
	if micros >= 1000 {
		var rounded float64
		fmt.Sscan(fmt.Sprintf("%.2e", float64(micros)), &rounded)
		micros = int64(rounded)
	}
	return decimal.New(micros, -6).String()
}

// TestJobsAreToldByKindAndHour compares every figure with one worked out in Go.
func TestJobsAreToldByKindAndHour(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	all := strayJobs(rand.New(rand.NewPCG(6, 5)), 500)
	m.insertJobs(all)
	for _, place := range []string{"UTC", "Asia/Kolkata", "America/New_York"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(place)
			if err != nil {
				t.Fatal(err)
			}
			kinds, hours := map[string][]endedJob{}, map[string][]endedJob{}
			for _, j := range all {
				local := j.finalized.In(zone)
				if local.Format(time.DateOnly) != "2026-03-01" {
					continue
				}
				kinds[j.kind] = append(kinds[j.kind], j)
				key := local.Format("2006-01-02 15:00 -07:00") + "|" + j.kind
				hours[key] = append(hours[key], j)
			}
			var wantKinds, wantHours []string
			for kind, jobs := range kinds {
				wantKinds = append(wantKinds, kind+"|"+toldJobs(jobs))
			}
			for key, jobs := range hours {
				hour, kind, _ := strings.Cut(key, "|")
				wantHours = append(wantHours, kind+"|"+hour+"|"+toldJobs(jobs))
			}
			slices.Sort(wantKinds)
			slices.SortFunc(wantHours, func(a, b string) int {
				x, y := strings.Split(a, "|"), strings.Split(b, "|")
				return cmp.Or(strings.Compare(x[1], y[1]), strings.Compare(x[0], y[0]))
			})
			doc := build(t, m.pool, "jobs", fmt.Sprintf(`{"from": "2026-03-01", "to": "2026-03-01", "timezone": %q}`, place), everything)
			wantLines(t, "by kind", doc.section("kind").rows, wantKinds)
			wantLines(t, "by hour", doc.section("hour").rows, wantHours)
		})
	}
}

func TestJobsOfOneKindUpToTheWatermarkAndTheInstant(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	at := day(10, 9) // the report is made half an hour later
	job := endedJob{kind: "clean_up", state: "completed", scheduled: at, attempted: at.Add(time.Second), finalized: at.Add(3 * time.Second)}
	other, later := job, job
	other.kind = "process_order"
	later.finalized = made.Add(time.Second)
	m.insertJobs([]endedJob{job, job, other, later})
	watermark := m.number(`select max(id) from river_job`)
	m.insertJobs([]endedJob{job})
	doc := build(t, m.pool, "jobs", `{"from": "2026-03-10", "to": "2026-03-11", "kind": "clean_up"}`, watermark)
	wantLines(t, "by kind", doc.section("kind").rows, []string{"clean_up|2|0|0|0|1|1|1|2|2|2"})
	wantLines(t, "by hour", doc.section("hour").rows, []string{"clean_up|2026-03-10 09:00 +00:00|2|0|0|0|1|1|1|2|2|2"})
	chart := doc.section("kind").Charts[0]
	if len(chart.Labels) != 1 || chart.Labels[0] != "10 Mar 09:00" || chart.Series[0].Values[0] != 2 {
		t.Errorf("the chart shows %v of %v", chart.Series, chart.Labels)
	}
}

func TestHoursToReadComeNewestFirst(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	var all []endedJob
	for _, hour := range []int{0, 1, 2} { // at 6:00 of UTC the clocks of New York go back to 1:00
		at := time.Date(2025, time.November, 2, 4+hour, 30, 0, 0, time.UTC)
		all = append(all, endedJob{kind: "clean_up", state: "completed", scheduled: at, attempted: at, finalized: at})
	}
	m.insertJobs(all)
	const params = `{"from": "2025-11-02", "to": "2025-11-02", "timezone": "America/New_York"}`
	wantLines(t, "to read", build(t, m.pool, "jobs", params, everything, render.FormatHTML).section("hour").columns("hour"),
		[]string{"2025-11-02 01:00 EST", "2025-11-02 01:00 EDT", "2025-11-02 00:00 EDT"})
	wantLines(t, "for programs", build(t, m.pool, "jobs", params, everything, render.FormatCSV).section("hour").columns("hour"),
		[]string{"2025-11-02 00:00 -04:00", "2025-11-02 01:00 -04:00", "2025-11-02 01:00 -05:00"})
}

func TestJobsOverALongTimeAreDrawnByDay(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	var all []endedJob
	for _, n := range []int{-60, -60, 1} {
		at := day(n, 9)
		all = append(all, endedJob{kind: "clean_up", state: "completed", scheduled: at, attempted: at, finalized: at})
	}
	m.insertJobs(all)
	chart := build(t, m.pool, "jobs", `{"from": "2025-12-01", "to": "2026-03-05", "timezone": "Europe/London"}`, everything).section("kind").Charts[0]
	values := chart.Series[0].Values
	if len(values) != 66 || values[0] != 2 || values[61] != 1 || chart.Labels[0] != "30 Dec 2025" {
		t.Errorf("the chart shows %v from %s on", values, chart.Labels[0])
	}
}

func TestJobsOfNothingSaySo(t *testing.T) {
	t.Parallel()
	doc := build(t, newMarket(t).pool, "jobs", `{"from": "2025-12-01", "to": "2026-03-05"}`, everything)
	if note := doc.section("kind").Note; !strings.HasPrefix(note, "No job that is still kept ended in this period.") {
		t.Errorf("the note says %q", note)
	}
	wantLines(t, "by kind", doc.section("kind").rows, nil)
	wantLines(t, "by hour", doc.section("hour").rows, nil)
}
