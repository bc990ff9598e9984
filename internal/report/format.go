package report

import (
	"iter"
	"slices"

	"backoffice/internal/report/render"
)

// forPrograms says whether a format holds all sections in one table, with the same columns.
func forPrograms(format render.Format) bool {
	return format == render.FormatCSV || format == render.FormatJSONL
}

// forReaders says whether a format is read as it is, and not worked with.
func forReaders(format render.Format) bool {
	return format == render.FormatPDF || format == render.FormatHTML
}

// leaveOut takes columns out of a section that have nothing to say there.
func leaveOut(section *render.Section, names ...string) {
	var kept []int
	columns := section.Columns
	for i, column := range columns {
		if !slices.Contains(names, column.Name) {
			kept = append(kept, i)
		}
	}
	section.Columns = pick(columns, kept)
	section.Rows = pickEach(section.Rows, kept)
	if section.Totals != nil {
		section.Totals = pick(section.Totals, kept)
	}
}

func pick[T any](of []T, places []int) []T {
	picked := make([]T, len(places))
	for i, place := range places {
		picked[i] = of[place]
	}
	return picked
}

func pickEach(rows iter.Seq2[[]any, error], places []int) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for row, err := range rows {
			if err == nil {
				row = pick(row, places)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
