package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"backoffice/internal/report/render"
)

// How much of the jobs is shown to people.
const (
	mostHours      = 500 // lines of hours
	chartKinds     = 6   // kinds of which there is a line, those with the most jobs
	chartHours     = 400 // hours that are drawn; more are drawn by day
	hourLayout     = "2006-01-02 15:04 -07:00"
	hourToRead     = "2006-01-02 15:04 MST"
	retentionsNote = "Finished jobs are deleted after the retention of their kind (backoffice kinds); what was deleted is not counted."
)

func (f *jobRunsFound) document(p *JobsParams, src *Source) *render.Document {
	_, _, zone := p.Days()
	sections := []render.Section{f.kindSection(p, src.Made), f.hourSection(zone, forReaders(src.Format))}
	if !forPrograms(src.Format) {
		leaveOut(&sections[0], "hour")
	}
	return &render.Document{Title: "Jobs", Facts: p.facts(), Sections: sections, Made: src.Made}
}

func (p *JobsParams) facts() []render.Fact {
	facts := []render.Fact{{Name: "Period", Value: p.Period.String()}, {Name: "Timezone", Value: p.Timezone}}
	if p.Kind != "" {
		facts = append(facts, render.Fact{Name: "Kind", Value: p.Kind})
	}
	return append(facts,
		render.Fact{Name: "Counted", Value: "jobs, in the hour in which they ended; failed attempts are theirs, whenever they failed"},
		render.Fact{Name: "Percentiles", Value: "the time that so many of a hundred jobs did not exceed, to three digits; wait is that of the last attempt"})
}

func jobColumns() []render.Column {
	columns := []render.Column{
		{Name: "kind", Width: 1.4},
		{Name: "hour", Width: 1.6},
		{Name: "completed", Type: render.Integer},
		{Name: "cancelled", Type: render.Integer},
		{Name: "discarded", Type: render.Integer},
		{Name: "failed_attempts", Title: "Failed attempts", Type: render.Integer},
	}
	for _, time := range []struct{ name, title string }{{"wait", "Wait"}, {"run", "Run"}} {
		for _, percentile := range []string{"p50", "p95", "p99"} {
			columns = append(columns, render.Column{Name: time.name + "_" + percentile, Title: time.title + " " + percentile, Type: render.Seconds})
		}
	}
	return columns
}

func (f jobFigures) row(kind string, hour any) []any {
	return append([]any{kind, hour, f.completed, f.cancelled, f.discarded, f.failedAttempts}, f.seconds()...)
}

func (f *jobRunsFound) kindSection(p *JobsParams, made time.Time) render.Section {
	section := render.Section{Name: "kind", Title: "By kind", Columns: jobColumns(), Note: retentionsNote}
	if len(f.totals) == 0 {
		section.Note = "No job that is still kept ended in this period. " + retentionsNote
	}
	var rows [][]any
	for _, kind := range slices.Sorted(maps.Keys(f.totals)) {
		rows = append(rows, f.totals[kind].figures().row(kind, nil))
	}
	section.Rows = render.Rows(rows)
	if len(rows) > 0 {
		section.Charts = []render.Chart{f.throughput(p, made), f.times()}
	}
	return section
}

// hourSection lists the hours. Readers, who may not see all, get the newest first.
func (f *jobRunsFound) hourSection(zone *time.Location, toRead bool) render.Section {
	layout, note := hourLayout, "An hour without a job of a kind has no line."
	if toRead {
		layout, note = hourToRead, "The newest hour comes first. "+note
	}
	rows := make([][]any, len(f.hours))
	for i, h := range f.hours {
		rows[i] = h.tells.row(h.kind, h.hour.In(zone).Format(layout))
	}
	if toRead {
		slices.Reverse(rows)
	}
	return render.Section{Name: "hour", Title: "By hour", Columns: jobColumns(), Rows: render.Rows(rows), Most: mostHours, Note: note}
}

// busiest are the kinds with the most jobs.
func (f *jobRunsFound) busiest() []string {
	kinds := slices.SortedFunc(maps.Keys(f.totals), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.totals[b].ended(), f.totals[a].ended()), cmp.Compare(a, b))
	})
	return kinds[:min(chartKinds, len(kinds))]
}

func (f *jobFigures) ended() int64 { return f.completed + f.cancelled + f.discarded }
