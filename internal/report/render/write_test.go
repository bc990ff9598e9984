package render_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"backoffice/internal/report/render"
)

var errSource = errors.New("the connection is gone")

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	two := []render.Column{{Name: "n", Type: render.Integer}, {Name: "net", Type: render.Money}}
	right := []any{int64(1), amount("1.5")}
	chart := func(c render.Chart) *render.Document {
		doc := single(two, right)
		doc.Sections[0].Charts = []render.Chart{c}
		return doc
	}
	totals := single(two, right)
	totals.Sections[0].Totals = []any{"Total", 1.5}
	twice := single(two, right)
	twice.Sections = append(twice.Sections, twice.Sections[0])
	for _, tc := range []struct {
		name string
		doc  *render.Document
		want string
	}{
		{"a document without sections", &render.Document{}, "no sections"},
		{"a section without columns", single(nil), `section "rows": it has no columns`},
		{"two sections of a name", twice, `section 2: the name "rows" is empty or used twice`},
		{"two columns of a name", single([]render.Column{{Name: "a"}, {Name: "a"}}), `section "rows": column 2: the name "a" is empty or used twice`},
		{"a column of no type", single([]render.Column{{Name: "a", Type: 99}}), `section "rows": column "a": 99 is no type`},
		{"a string as money", single(two, right, []any{int64(2), "1.5"}), `section "rows", row 2: column "net" takes decimal.Decimal, not string (1.5)`},
		{"a float as money", single(two, []any{int64(2), 1.5}), `row 1: column "net" takes decimal.Decimal, not float64 (1.5)`},
		{"an int", single(two, []any{2, nil}), `row 1: column "n" takes int64, not int (2)`},
		{"a ratio that is not a number", single([]render.Column{{Name: "r", Type: render.Ratio}}, []any{math.NaN()}), `column "r" takes a finite float64`},
		{"a row that is too short", single(two, right, right, []any{int64(1)}), `section "rows", row 3: 1 values for 2 columns`},
		{"totals of another type", totals, `section "rows", totals: column "net" takes decimal.Decimal, not float64`},
		{"a series of another length", chart(render.Chart{Title: "c", Labels: []string{"a"}, Series: []render.Series{{Name: "s"}}}), `chart "c": series "s" has 0 values for 1 labels`},
		{"a value that cannot be drawn", chart(render.Chart{Title: "c", Labels: []string{"a"}, Series: []render.Series{{Name: "s", Values: []float64{math.Inf(1)}}}}), `series "s", label "a": +Inf cannot be drawn`},
	} {
		for _, format := range formats {
			t.Run(tc.name+format.Extension(), func(t *testing.T) {
				t.Parallel()
				_, err := render.Write(io.Discard, format, tc.doc)
				flat := format == render.FormatCSV || format == render.FormatJSONL
				if flat && tc.doc == totals { // which they do not write
					return
				}
				if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "write report as "+string(format)+": ") {
					t.Errorf("Write = %v, want %q", err, tc.want)
				}
			})
		}
	}
	if _, err := render.Write(io.Discard, "docx", totals); !errors.Is(err, render.ErrFormat) {
		t.Errorf("Write = %v, want ErrFormat", err)
	}
}

func TestOneTableHoldsOnlySectionsOfTheSameColumns(t *testing.T) {
	t.Parallel()
	doc := single([]render.Column{{Name: "a"}})
	doc.Sections = append(doc.Sections, render.Section{Name: "other", Columns: []render.Column{{Name: "b"}}})
	fewer := single([]render.Column{{Name: "a"}, {Name: "b"}})
	fewer.Sections = append(fewer.Sections, render.Section{Name: "other", Columns: []render.Column{{Name: "a"}}})
	reserved := single([]render.Column{{Name: "section"}})
	reserved.Sections = append(reserved.Sections, render.Section{Name: "other", Columns: []render.Column{{Name: "section"}}})
	for _, format := range formats {
		_, err := render.Write(io.Discard, format, doc)
		_, short := render.Write(io.Discard, format, fewer)
		_, taken := render.Write(io.Discard, format, reserved)
		if flat := format == render.FormatCSV || format == render.FormatJSONL; flat != (err != nil) || flat != (short != nil) || flat != (taken != nil) {
			t.Errorf("%s: Write = %v, %v and %v", format, err, short, taken)
		}
	}
}

func TestAFailingSourceIsAnError(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		for _, rows := range []int{0, 3, 1200} {
			doc := single([]render.Column{{Name: "n", Type: render.Integer}})
			doc.Sections[0].Rows = failing(rows, []any{int64(7)}, errSource)
			read, err := render.Write(io.Discard, format, doc)
			if !errors.Is(err, errSource) || !strings.Contains(err.Error(), `section "rows"`) || read != int64(rows) {
				t.Errorf("%s after %d rows: %d, %v", format, rows, read, err)
			}
		}
	}
}

// fullDisk takes so many bytes and no more.
type fullDisk struct{ room int }

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return d.room, errFull
	}
	d.room -= len(p)
	return len(p), nil
}

func TestAFailingWriterIsAnErrorWhereverItFails(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		whole := len(written(t, format, customers()))
		for _, room := range []int{0, 1, whole / 2, whole - 1} {
			if _, err := render.Write(&fullDisk{room: room}, format, customers()); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d of %d bytes: %v", format, room, whole, err)
			}
		}
		if _, err := render.Write(&fullDisk{room: whole}, format, customers()); err != nil {
			t.Errorf("%s with room for all: %v", format, err)
		}
	}
}

func TestWriteCountsRowsThatItDoesNotShow(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		if rows, err := render.Write(io.Discard, format, customers()); rows != 260 || err != nil {
			t.Errorf("%s: %d rows, %v; want 260", format, rows, err)
		}
	}
}

func TestTotalsMayBeSummedUpByTheRows(t *testing.T) {
	t.Parallel()
	for _, format := range []render.Format{render.FormatHTML, render.FormatPDF, render.FormatXLSX} {
		doc := single([]render.Column{{Name: "n", Type: render.Integer}})
		s := &doc.Sections[0]
		sum := int64(0)
		s.Rows = func(yield func([]any, error) bool) {
			for i := range int64(10) {
				if sum += i; !yield([]any{i}, nil) {
					return
				}
			}
			s.Totals = []any{sum * 1000003}
		}
		content := written(t, format, doc)
		switch format {
		case render.FormatHTML:
			if !strings.Contains(string(content), "45,000,135") {
				t.Errorf("html: no totals in %s", content)
			}
		case render.FormatXLSX:
			if got := sheetRows(t, content, "Rows"); got[len(got)-1][0] != "45,000,135" {
				t.Errorf("xlsx: the last row is %v", got[len(got)-1])
			}
		case render.FormatPDF:
			if got := pdfText(t, content); !strings.Contains(got, "45,000,135") {
				t.Errorf("pdf: no totals in %s", got)
			}
		}
	}
}

func TestNothingStaysInTheTemporaryFolder(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	const rows = 600 // of texts that together are more than excelize keeps in memory
	wide := strings.Repeat("x", 30_000)
	for _, tc := range []struct {
		name string
		err  error
		disk io.Writer
	}{
		{"written", nil, io.Discard}, {"source failed", errSource, io.Discard}, {"disk full", nil, &fullDisk{}},
	} {
		doc := single([]render.Column{{Name: "a", Type: render.Text}})
		spilled := false
		doc.Sections[0].Rows = func(yield func([]any, error) bool) {
			for range rows {
				if !yield([]any{wide}, nil) {
					return
				}
			}
			spilled = holds(t, dir)
			if tc.err != nil {
				yield(nil, tc.err)
			}
		}
		_, err := render.Write(tc.disk, render.FormatXLSX, doc)
		if failed := err != nil; failed != (tc.name != "written") || !spilled || holds(t, dir) {
			t.Errorf("%s: error %v, spilled to the folder: %v, left in it: %v", tc.name, err, spilled, holds(t, dir))
		}
	}
}

func holds(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) > 0
}

func TestASourceMayUseItsRowAgain(t *testing.T) {
	t.Parallel()
	doc := single([]render.Column{{Name: "n", Type: render.Integer}})
	doc.Sections[0].Rows = func(yield func([]any, error) bool) {
		row := []any{nil}
		for i := range int64(40) {
			if row[0] = 7000 + i; !yield(row, nil) {
				return
			}
		}
	}
	for _, format := range formats {
		content := string(written(t, format, doc))
		switch format {
		case render.FormatXLSX:
			content = fmt.Sprint(sheetRows(t, []byte(content), "Rows"))
		case render.FormatPDF:
			content = pdfText(t, []byte(content))
		}
		if content = strings.ReplaceAll(content, ",", ""); !strings.Contains(content, "7000") || !strings.Contains(content, "7021") || strings.Count(content, "7039") != 1 {
			t.Errorf("%s: rows are lost: %.400s", format, content)
		}
	}
}

func TestDecimalsSurvive(t *testing.T) {
	t.Parallel()
	doc := single([]render.Column{{Name: "n", Type: render.Money}}, []any{decimal.RequireFromString("0.1234567890123456789")})
	for _, format := range formats {
		content := string(written(t, format, doc))
		switch format {
		case render.FormatXLSX:
			content = sheetRows(t, []byte(content), "Rows")[1][0]
		case render.FormatPDF:
			content = pdfText(t, []byte(content))
		}
		if !strings.Contains(content, "0.1234567890123456789") {
			t.Errorf("%s lost decimals: %s", format, content)
		}
	}
}
