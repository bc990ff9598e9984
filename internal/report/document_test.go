package report_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/report"
	"backoffice/internal/report/render"
	"backoffice/jobs"
)

// everything is a watermark above all ids.
const everything = 1 << 60

// made is the instant at which the tests' documents are made: long after what they tell of.
var made = time.Date(2026, time.March, 10, 9, 30, 0, 0, time.UTC)

// built is a document whose rows are read.
type built struct {
	t        testing.TB
	title    string
	sections []section
	done     float64 // the last progress
}

type section struct {
	render.Section
	rows []string // each the texts of its values, with bars between
}

// build reads a type's document, as a spreadsheet unless another format is named.
func build(t testing.TB, db *pgxpool.Pool, name, params string, watermark int64, format ...render.Format) built {
	t.Helper()
	kind, err := report.TypeOf(name)
	if err != nil {
		t.Fatal(err)
	}
	all := built{t: t}
	src := &report.Source{DB: db, Params: complete(t, kind, params), Format: append(format, render.FormatXLSX)[0],
		Watermark: watermark, Made: made, Progress: rising(t, &all.done)}
	doc, err := kind.Build(t.Context(), src)
	if err != nil {
		t.Fatalf("Build %s: %v", name, err)
	}
	all.title = doc.Title
	for _, s := range doc.Sections {
		read := section{Section: s}
		for row, err := range s.Rows {
			if err != nil {
				t.Fatalf("read section %s of %s: %v", s.Name, name, err)
			}
			if len(row) != len(s.Columns) {
				t.Fatalf("section %s of %s has %d columns and a row of %d: %v", s.Name, name, len(s.Columns), len(row), row)
			}
			read.rows = append(read.rows, text(row))
		}
		if s.Totals != nil && len(s.Totals) != len(s.Columns) {
			t.Errorf("section %s of %s has %d columns and totals of %d", s.Name, name, len(s.Columns), len(s.Totals))
		}
		for _, chart := range s.Charts {
			for _, series := range chart.Series {
				if len(series.Values) != len(chart.Labels) {
					t.Errorf("chart %q: series %s has %d values for %d labels", chart.Title, series.Name, len(series.Values), len(chart.Labels))
				}
			}
		}
		all.sections = append(all.sections, read)
	}
	return all
}

func complete(t testing.TB, kind report.Type, params string) report.Params {
	t.Helper()
	p := kind.NewParams()
	if err := json.Unmarshal([]byte(params), p); err != nil {
		t.Fatal(err)
	}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	return p
}

// rising is a progress that fails the test when it falls or leaves its range.
func rising(t testing.TB, last *float64) func(float64, int64) {
	return func(done float64, _ int64) {
		if done < *last || done > 1 {
			t.Errorf("progress went from %g to %g", *last, done)
		}
		*last = done
	}
}

func text(row []any) string {
	texts := make([]string, len(row))
	for i, value := range row {
		switch v := value.(type) {
		case nil:
			texts[i] = "-"
		case time.Time:
			texts[i] = v.UTC().Format(time.RFC3339)
		default:
			texts[i] = fmt.Sprint(v)
		}
	}
	return strings.Join(texts, "|")
}

// section answers one of the document's.
func (d built) section(name string) section {
	d.t.Helper()
	at := slices.IndexFunc(d.sections, func(s section) bool { return s.Name == name })
	if at < 0 {
		d.t.Fatalf("%s has no section %s", d.title, name)
	}
	return d.sections[at]
}

// columns answers some of a section's columns, a row a line.
func (s section) columns(names ...string) []string {
	var places []int
	for _, name := range names {
		places = append(places, slices.IndexFunc(s.Columns, func(c render.Column) bool { return c.Name == name }))
	}
	lines := make([]string, len(s.rows))
	for i, row := range s.rows {
		texts := strings.Split(row, "|")
		var some []string
		for _, place := range places {
			some = append(some, texts[place])
		}
		lines[i] = strings.Join(some, " ")
	}
	return lines
}

func wantLines(t testing.TB, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
}

func TestParametersAreRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	period := `"from": "2010-12-01", "to": "2011-05-31"`
	for _, tc := range []struct{ name, kind, params, field, want string }{
		{"no first day", "sales-summary", `{"to": "2011-05-31"}`, "from", `from is missing; give the first day of the period, such as 2010-12-01`},
		{"no last day", "customers", `{"from": "2011-05-31"}`, "to", `to is missing; give the last day of the period, such as 2011-05-31`},
		{"no period", "jobs", `{}`, "from", `from is missing; give the first day of the period, such as 2010-12-01`},
		{"the wrong way round", "sales-summary", `{"from": "2011-05-31", "to": "2010-12-01"}`, "from", `from 2011-05-31 is after to 2010-12-01; swap them`},
		{"not a date", "stock", `{"from": "2011-02-29", "to": "2011-05-31"}`, "from", `from "2011-02-29" is no day; write it as 2010-12-01`},
		{"a period of ten years and more", "sales-summary", `{"from": "2000-01-01", "to": "2011-05-31"}`, "from", `from 2000-01-01 to 2011-05-31 are 4169 days; ask for 3700 at most`},
		{"an unknown timezone", "sales-summary", `{` + period + `, "timezone": "Europe/Londn"}`, "timezone", `timezone "Europe/Londn" is unknown; name one such as Europe/London`},
		{"an unknown span", "sales-summary", `{` + period + `, "by": "year"}`, "by", `by "year" is unknown; use day, week or month`},
		{"too many products", "sales-summary", `{` + period + `, "top": 1001}`, "top", `top 1001 is out of range; list from 1 to 1000 products`},
		{"less than no product", "sales-summary", `{` + period + `, "top": -1}`, "top", `top -1 is out of range; list from 1 to 1000 products`},
		{"no currency", "customers", `{` + period + `, "currency": "pound"}`, "currency", `currency "pound" is not three capital letters; write it like GBP`},
		{"a country that no row can hold", "sales-summary", `{` + period + `, "country": "a\u0000"}`, "country", `country "a\x00" is not valid UTF-8 text; remove the offending bytes`},
		{"another type's parameter", "stock", `{` + period + `, "by": "day"}`, "by", `params: stock has no parameter "by"; it has from, to, timezone`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := report.Check(jobs.GenerateReportArgs{Type: tc.kind, Format: "csv", Params: []byte(tc.params)})
			if !errors.Is(err, report.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			if err.Error() != tc.want || report.FieldOf(err) != tc.field {
				t.Errorf("got  %s: %s\nwant %s: %s", report.FieldOf(err), err, tc.field, tc.want)
			}
		})
	}
}

func TestParametersAreWrittenOut(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"sales-summary": `{"from":"2010-12-01","to":"2011-05-31","timezone":"UTC","by":"month","top":20}`,
		"customers":     `{"from":"2010-12-01","to":"2011-05-31","timezone":"UTC"}`,
		"stock":         `{"from":"2010-12-01","to":"2011-05-31","timezone":"UTC"}`,
		"jobs":          `{"from":"2010-12-01","to":"2011-05-31","timezone":"UTC"}`,
	} {
		args, err := report.Check(jobs.GenerateReportArgs{Type: kind, Format: "csv", Params: []byte(`{"to": "2011-05-31", "from": "2010-12-01"}`)})
		if err != nil || string(args.Params) != want {
			t.Errorf("%s: params %s, %v; want %s", kind, args.Params, err, want)
		}
	}
}
