package render_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"backoffice/internal/report/render"
)

func openSheets(t *testing.T, content []byte) *excelize.File {
	t.Helper()
	file, err := excelize.OpenReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// sheetRows are a sheet's cells as a spreadsheet shows them.
func sheetRows(t *testing.T, content []byte, sheet string) [][]string {
	t.Helper()
	rows, err := openSheets(t, content).GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestXLSXHoldsNumbersAndDatesOfTheirTypes(t *testing.T) {
	t.Parallel()
	doc := single(allColumns, allRows...)
	doc.Sections[0].Totals = []any{"Total", int64(5), amount("12.5"), 0.5, nil, nil, nil}
	file := openSheets(t, written(t, render.FormatXLSX, doc))
	for _, tc := range []struct {
		cell, raw, shown string
		kind             excelize.CellType
	}{
		{"A1", "Text", "Text", excelize.CellTypeInlineString},
		{"F1", "At (UTC)", "At (UTC)", excelize.CellTypeInlineString},
		{"G1", "Took (s)", "Took (s)", excelize.CellTypeInlineString},
		{"A2", "x", "x", excelize.CellTypeInlineString},
		{"B2", "-3", "-3", excelize.CellTypeNumber},
		{"C2", "3706827.641", "3,706,827.641", excelize.CellTypeNumber},
		{"D2", "0.125", "12.5%", excelize.CellTypeNumber},
		{"E2", "40513", "2010-12-01", excelize.CellTypeNumber},
		{"F2", "40513.3097583", "2010-12-01 07:26:03", excelize.CellTypeNumber},
		{"G2", "90", "90.000", excelize.CellTypeNumber},
		{"B3", "4611686018427387904", "4611686018427387904", excelize.CellTypeInlineString},
		{"C3", "-0.001", "-0.001", excelize.CellTypeNumber},
		{"D3", "0.3333333333333333333", "0.3333333333333333333", excelize.CellTypeInlineString},
		{"E3", "1899-01-02", "1899-01-02", excelize.CellTypeInlineString},
		{"A4", "", "", excelize.CellTypeUnset},
		{"C5", "100", "100.00", excelize.CellTypeNumber},
		{"A6", "Total", "Total", excelize.CellTypeInlineString},
		{"C6", "12.5", "12.50", excelize.CellTypeNumber},
	} {
		raw, err := file.GetCellValue("Rows", tc.cell, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		shown, err := file.GetCellValue("Rows", tc.cell)
		if err != nil {
			t.Fatal(err)
		}
		kind, err := file.GetCellType("Rows", tc.cell)
		if err != nil {
			t.Fatal(err)
		}
		if kind == excelize.CellTypeUnset && tc.kind == excelize.CellTypeNumber {
			kind = excelize.CellTypeNumber // a cell without a type is a number
		}
		if !strings.HasPrefix(raw, tc.raw) || shown != tc.shown || kind != tc.kind {
			t.Errorf("%s holds %q of type %v, shown as %q; want %q of type %v, shown as %q", tc.cell, raw, kind, shown, tc.raw, tc.kind, tc.shown)
		}
	}
	panes, err := file.GetPanes("Rows")
	if err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("panes = %+v, %v; want the header frozen", panes, err)
	}
	if names := file.GetDefinedName(); len(names) != 1 || !strings.Contains(names[0].RefersTo, "$A$1:$G$5") {
		t.Errorf("defined names = %+v, want the filter over the header and the four rows, not over the totals", names)
	}
}

func TestXLSXTextsAreNeverFormulas(t *testing.T) {
	t.Parallel()
	file := openSheets(t, written(t, render.FormatXLSX, texts(hardTexts)))
	for i, text := range hardTexts {
		cell := fmt.Sprintf("B%d", i+2)
		got, err := file.GetCellValue("Rows", cell)
		if err != nil {
			t.Fatal(err)
		}
		formula, err := file.GetCellFormula("Rows", cell)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := text.(string)
		if got != want || formula != "" {
			t.Errorf("%s holds %q with formula %q, want %q", cell, got, formula, want)
		}
	}
}

func TestXLSXCutsATextThatNoCellHolds(t *testing.T) {
	t.Parallel()
	exact, long := strings.Repeat("é", 32767), strings.Repeat("é", 32768)
	rows := sheetRows(t, written(t, render.FormatXLSX, single([]render.Column{{Name: "a"}}, []any{exact}, []any{long})), "Rows")
	if rows[1][0] != exact || len([]rune(rows[2][0])) > 32767 || !strings.HasSuffix(rows[2][0], "é…") {
		t.Errorf("texts of %d and %d characters", len([]rune(rows[1][0])), len([]rune(rows[2][0])))
	}
}

func TestXLSXHasASheetPerSectionAndOneAboutThem(t *testing.T) {
	t.Parallel()
	content := written(t, render.FormatXLSX, salesSummary())
	file := openSheets(t, content)
	if got, want := file.GetSheetList(), []string{"About", "By month", "By country", "Products returned most"}; !cmp.Equal(got, want) {
		t.Errorf("sheets = %v, want %v", got, want)
	}
	about := fmt.Sprint(sheetRows(t, content, "About"))
	for _, want := range []string{"Sales summary", "1 Dec 2010 to 31 May 2011", "Müller & Söhne Café £€", "2011-06-01 04:15:27 UTC", "An order counts for the country"} {
		if !strings.Contains(about, want) {
			t.Errorf("%q is missing in %s", want, about)
		}
	}
	if got := sheetRows(t, content, "Products returned most"); len(got) != 1 {
		t.Errorf("a section without rows has %v", got)
	}
}

// TestXLSXEqualsCSV reads both back: the same rows, the same digits.
func TestXLSXEqualsCSV(t *testing.T) {
	t.Parallel()
	file := openSheets(t, written(t, render.FormatXLSX, salesSummary()))
	var sheets []string
	for _, name := range []string{"By month", "By country"} {
		rows, err := file.GetRows(name, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1 : len(rows)-1] { // without header and totals
			sheets = append(sheets, strings.Join(row, "|"))
		}
	}
	var flat []string
	for _, line := range strings.Split(strings.TrimSpace(string(written(t, render.FormatCSV, salesSummary()))), "\n")[1:] {
		_, line, _ = strings.Cut(strings.ReplaceAll(line, `"Great Britain and Northern Ireland, with`, `Great Britain and Northern Ireland; with`), ",")
		flat = append(flat, strings.NewReplacer(",", "|", ";", ",", `"`, "").Replace(line))
	}
	if diff := cmp.Diff(flat, sheets); diff != "" {
		t.Errorf("csv (-), xlsx (+):\n%s", diff)
	}
}

func TestXLSXGoesOnInANewSheet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rows   int
		sheets map[string]int // rows with header and totals
	}{
		{9, map[string]int{"Lines": 11}},
		{10, map[string]int{"Lines": 11, "Lines 2": 2}},
		{25, map[string]int{"Lines": 11, "Lines 2": 11, "Lines 3": 7}},
	} {
		var rows [][]any
		for i := range tc.rows {
			rows = append(rows, []any{int64(i)})
		}
		doc := single([]render.Column{{Name: "n", Type: render.Integer}}, rows...)
		doc.Sections[0].Title, doc.Sections[0].Totals = "Lines", []any{"Total"}
		var out bytes.Buffer
		if n, err := render.WriteSheets(&out, doc, 11); err != nil || n != int64(tc.rows) {
			t.Fatalf("%d rows, %v", n, err)
		}
		file := openSheets(t, out.Bytes())
		got := map[string]int{}
		var all []string
		for _, name := range file.GetSheetList() {
			rows := sheetRows(t, out.Bytes(), name)
			got[name] = len(rows)
			if rows[0][0] != "N" {
				t.Errorf("sheet %s begins with %v, want the header", name, rows[0])
			}
			for _, row := range rows[1:] {
				all = append(all, row[0])
			}
		}
		want := []string{}
		for i := range tc.rows {
			want = append(want, strconv.Itoa(i))
		}
		if diff := cmp.Diff(tc.sheets, got); diff != "" || !slices.Equal(all, append(want, "Total")) {
			t.Errorf("%d rows: %s%v", tc.rows, diff, all)
		}
	}
}

func TestSheetNamesAreValidAndUnique(t *testing.T) {
	t.Parallel()
	doc := &render.Document{Title: "t", Made: made}
	for i, title := range []string{"By country", "by COUNTRY", "About", "a/b\\c[d]e:f*g?h", "'quoted'", "History", strings.Repeat("ü", 40), strings.Repeat("ü", 41), strings.Repeat("😀", 20), "\n"} {
		doc.Sections = append(doc.Sections, render.Section{Name: fmt.Sprint(i), Title: title, Columns: []render.Column{{Name: "a"}}})
	}
	want := []string{"About", "By country", "by COUNTRY 2", "About 2", "a b c d e f g h", "quoted", "HistorySheet", strings.Repeat("ü", 31), strings.Repeat("ü", 29) + " 2", strings.Repeat("😀", 15), "Sheet"}
	if got := openSheets(t, written(t, render.FormatXLSX, doc)).GetSheetList(); !cmp.Equal(got, want) {
		t.Errorf("sheets = %q, want %q", got, want)
	}
}

// TestXLSXOfManyRowsStaysUnder300MB writes rows of 14 columns: a million with BACKOFFICE_LONG=1, run alone.
func TestXLSXOfManyRowsStaysUnder300MB(t *testing.T) {
	count := int64(3_000)
	if os.Getenv("BACKOFFICE_LONG") != "" {
		count = 1_000_000
	}
	columns := []render.Column{
		{Name: "number", Type: render.Text}, {Name: "line_no", Type: render.Integer}, {Name: "kind", Type: render.Text}, {Name: "line_kind", Type: render.Text},
		{Name: "placed_at", Type: render.Instant}, {Name: "processed_at", Type: render.Instant}, {Name: "customer", Type: render.Text}, {Name: "country", Type: render.Text},
		{Name: "currency", Type: render.Text}, {Name: "sku", Type: render.Text}, {Name: "description", Type: render.Text}, {Name: "quantity", Type: render.Integer},
		{Name: "unit_price", Type: render.Money}, {Name: "amount", Type: render.Money},
	}
	doc := single(columns)
	doc.Sections[0].Rows = func(yield func([]any, error) bool) {
		price := amount("2.55")
		row := make([]any, len(columns))
		for i := range count {
			copy(row, []any{strconv.FormatInt(536365+i/10, 10), i % 10, "sale", "item", made.Add(time.Duration(i) * time.Second), made.Add(time.Duration(i+5) * time.Second),
				"17850", "United Kingdom", "GBP", "85123A", "WHITE HANGING HEART T-LIGHT HOLDER", i%50 + 1, price, price.Mul(amount(strconv.FormatInt(i%50+1, 10)))})
			if !yield(row, nil) {
				return
			}
		}
	}
	began := time.Now()
	if n, err := render.Write(io.Discard, render.FormatXLSX, doc); n != count || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	kilobytes := peak(t)
	t.Logf("%d rows in %s, peak %d MB", count, time.Since(began).Round(time.Millisecond), kilobytes>>10)
	if kilobytes > 300<<10 {
		t.Errorf("peak %d MB", kilobytes>>10)
	}
}

// peak is the most memory this process had at once, in kilobytes; 0 where the system does not tell.
func peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "kB")
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatalf("read the peak: %v", err)
	}
	return kilobytes
}
