// Package render turns a document into bytes: csv, jsonl, xlsx, pdf or html. What a document says is
// decided by its caller; here lives only how it looks in each format. It reads no clock, no database
// and no settings: the same document gives the same bytes, as far as the format's library allows.
package render

import (
	"iter"
	"time"
)

// Document is what one report says.
type Document struct {
	Title    string
	Facts    []Fact    // parameters and provenance, shown under the title; not in csv and jsonl
	Sections []Section // at least one; csv and jsonl can hold several only when their columns have the same names
	Made     time.Time // the instant the data was read; no other clock is read
}

// Fact is one line under a document's title: {"Period", "1 Dec 2010 to 31 May 2011"}.
type Fact struct {
	Name, Value string
}

// Section is one table of a document, with its charts.
type Section struct {
	Name    string // machine name, unique in the document: "period", "country"; csv and jsonl put it first in every line when a document has several sections
	Title   string
	Columns []Column
	Rows    iter.Seq2[[]any, error] // read once, from the first row to the last; nil: no rows
	Totals  []any                   // a last line, nil: none; its values are those of a row, but a string (a label) fits any column; not in csv and jsonl
	Charts  []Chart                 // in html and pdf
	Most    int                     // pdf and html show at most so many rows, and say how many there are and which formats hold the rest; 0: all
	Note    string                  // one sentence under the title, or empty
}

// Column says what the values at one place of a section's rows mean.
type Column struct {
	Name  string // snake_case, unique in the section: csv header, json key
	Title string // for people; empty: made of Name
	Type  ColumnType
	Width float64 // how much of the usual room a text may take in pdf and xlsx (2: twice); 0: as usual
}

// ColumnType says which values a column takes and how they are written. nil, no value, fits every type.
type ColumnType int

// The types of columns.
const (
	Text    ColumnType = iota // string
	Integer                   // int64
	Money                     // decimal.Decimal, with all decimals it has; people see at least two
	Ratio                     // float64 or decimal.Decimal: 0.123, which people see as 12.3%
	Date                      // Day
	Instant                   // time.Time, written in UTC
	Seconds                   // int64, float64 or decimal.Decimal
)

// Day is a date of the calendar, without time or zone.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// DayOf is the date that t has in its own location.
func DayOf(t time.Time) Day {
	year, month, day := t.Date()
	return Day{Year: year, Month: month, Day: day}
}

// String is the date as 2010-12-01.
func (d Day) String() string { return d.midnight().Format(time.DateOnly) }

func (d Day) midnight() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// Rows is a slice as a stream, for sections that are small.
func Rows(rows [][]any) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}
