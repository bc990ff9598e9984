package report

import (
	"slices"
	"time"

	"backoffice/internal/report/render"
)

// throughput draws how many jobs ended in each hour or, over a long time, on each day: from the first hour
// with a job to the end of the period, as far as it has come.
func (f *jobRunsFound) throughput(p *JobsParams, made time.Time) render.Chart {
	_, _, zone := p.Days()
	_, until := p.instants()
	if until.After(made) {
		until = made
	}
	chart := render.Chart{Kind: render.LineChart, Title: "Jobs that ended, by hour", XTitle: "Hour, " + p.Timezone, YTitle: "Jobs in the hour"}
	layout := "2 Jan 15:04"
	marks := hourMarks(f.hours[0].hour, until)
	if len(marks) > chartHours {
		chart.Title, chart.XTitle, chart.YTitle = "Jobs that ended, by day", "Day, "+p.Timezone, "Jobs on the day"
		layout = "2 Jan 2006"
		marks = dayMarks(f.hours[0].hour, until, zone)
	}
	for _, mark := range marks {
		chart.Labels = append(chart.Labels, mark.In(zone).Format(layout))
	}
	for _, kind := range f.busiest() {
		values := make([]float64, len(marks))
		for _, h := range f.hours {
			if h.kind == kind {
				values[markBefore(marks, h.hour)] += float64(h.tells.ended())
			}
		}
		chart.Series = append(chart.Series, render.Series{Name: kind, Values: values})
	}
	return chart
}

// hourMarks are the hours from the first one on.
func hourMarks(first, until time.Time) []time.Time {
	var marks []time.Time
	for at := first; at.Before(until); at = at.Add(time.Hour) {
		marks = append(marks, at)
	}
	return marks
}

// dayMarks are the begins of the days from that of an instant on.
func dayMarks(first, until time.Time, zone *time.Location) []time.Time {
	var marks []time.Time
	for day := dayOf(first, zone); dayBegins(day, zone).Before(until); day = day.AddDate(0, 0, 1) {
		marks = append(marks, dayBegins(day, zone))
	}
	return marks
}

// markBefore is the place of the last mark that is not after an instant.
func markBefore(marks []time.Time, at time.Time) int {
	place, found := slices.BinarySearchFunc(marks, at, time.Time.Compare)
	if !found {
		place--
	}
	return max(0, place)
}

// times draws how long nearly all jobs of a kind waited and ran.
func (f *jobRunsFound) times() render.Chart {
	wait, run := render.Series{Name: "Wait p95"}, render.Series{Name: "Run p95"}
	chart := render.Chart{Kind: render.RankChart, Title: "How long 95 of 100 jobs waited and ran at most", XTitle: "Kind", YTitle: "Seconds"}
	for _, kind := range f.busiest() {
		figures := f.totals[kind].figures()
		chart.Labels = append(chart.Labels, kind)
		wait.Values = append(wait.Values, figures.wait.p95())
		run.Values = append(run.Values, figures.run.p95())
	}
	chart.Series = []render.Series{wait, run}
	return chart
}
