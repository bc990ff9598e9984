package render_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"backoffice/internal/report/render"
)

// pdfText is what another reader finds on the pages, laid out as they are, pages parted by form feeds.
func pdfText(t *testing.T, content []byte) string {
	t.Helper()
	return pdfRead(t, content, "-layout")
}

func pdfRead(t *testing.T, content []byte, how string) string {
	t.Helper()
	program, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("no pdftotext is installed; on Debian: apt-get install poppler-utils")
	}
	file := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), program, how, "-enc", "UTF-8", file, "-").Output()
	if err != nil {
		t.Fatalf("pdftotext: %v", err)
	}
	return string(text)
}

// pdfWord is a word with its place on a page, in points from the top left.
type pdfWord struct {
	text                     string
	page                     int
	left, top, right, bottom float64
}

// pdfWords are the words on all pages; it fails the test if one is outside of the margins.
func pdfWords(t *testing.T, content []byte) []pdfWord {
	t.Helper()
	var words []pdfWord
	number, width, height := 0, 0.0, 0.0
	for n := range parsed(t, []byte(pdfRead(t, content, "-bbox"))).Descendants() {
		at := map[string]float64{}
		for _, a := range n.Attr {
			if v, err := strconv.ParseFloat(a.Val, 64); err == nil {
				at[a.Key] = v
			}
		}
		switch n.Data {
		case "page":
			number, width, height = number+1, at["width"], at["height"]
		case "word":
			w := pdfWord{textOf(n), number, at["xmin"], at["ymin"], at["xmax"], at["ymax"]}
			words = append(words, w)
			const margin, footer, kerning = 42, 26, 2 // charts are measured with kerning, and written without
			inFooter := w.top > height-margin-footer/2
			if w.left < margin-0.5 || w.right > width-margin+kerning || w.top < margin-3 || !inFooter && w.bottom > height-margin-footer || w.bottom > height-margin/2 {
				t.Errorf("page %d of %.0f x %.0f: %q stands in a margin: %+v", number, width, height, w.text, w)
			}
		}
	}
	return words
}

func TestPDFKeepsItsMargins(t *testing.T) {
	t.Parallel()
	for name, sample := range samples {
		words := pdfWords(t, written(t, render.FormatPDF, sample()))
		if len(words) < 20 {
			t.Errorf("%s has %d words", name, len(words))
		}
		apart(t, words)
	}
}

// apart fails the test where two words in a row of a page overlap.
func apart(t *testing.T, words []pdfWord) {
	t.Helper()
	for i, a := range words {
		for _, b := range words[:i] {
			if a.page == b.page && a.top == b.top && a.left < b.right-1 && b.left < a.right-1 {
				t.Errorf("%q and %q overlap: %+v, %+v", a.text, b.text, a, b)
			}
		}
	}
}

// TestPDFLeavesNoHeaderAlone moves a table down a page, chart label by chart label.
func TestPDFLeavesNoHeaderAlone(t *testing.T) {
	t.Parallel()
	for count := 12; count <= 24; count++ {
		doc := customers()
		s := &doc.Sections[0]
		s.Columns = []render.Column{{Name: "number", Title: "Median time"}}
		s.Rows = render.Rows([][]any{{"C-00001"}, {"C-00002"}, {"C-00003"}, {"C-00004"}})
		s.Totals = nil
		s.Charts = []render.Chart{everyChart().Sections[0].Charts[0], {Kind: render.RankChart, Labels: days(count), Series: []render.Series{{Values: waves(count, 9, 3)}}}}
		for i, page := range pages(pdfText(t, written(t, render.FormatPDF, doc))) {
			if rows := strings.Count(page, "C-0000"); strings.Contains(page, "Median time") != (rows > 0) || strings.Contains(page, "C-00001") && rows == 1 {
				t.Errorf("%d bars: page %d has %d rows:\n%s", count, i+1, rows, page)
			}
		}
	}
}

func pages(text string) []string { return strings.Split(strings.TrimSuffix(text, "\f"), "\f") }

func TestPDFSaysWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	text := pdfText(t, written(t, render.FormatPDF, salesSummary()))
	for _, want := range []string{
		"Sales summary", "1 Dec 2010 to 31 May 2011, Europe/London", "Müller & Söhne Café £€", "By month", "748,957.02", "493,207.121", "−74,789.12", "3,706,827.641",
		"By country", "Côte d’Ivoire", "Österreich", "3,117,720.121", "84.1%", "An order counts for the country", "No rows in this period.", "Net sales by country", "800,000",
		"Data of 1 Jun 2011 04:15:27 UTC", "Page 1 of 2", "Page 2 of 2",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestPDFRepeatsTheHeaderAndLeavesNoRowAlone(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`(?m)^\s*(C-\d{5})\b`)
	for count := range 58 {
		if count < 18 || count > 28 && count < 48 { // where pages become full
			continue
		}
		doc := customers()
		doc.Sections[0].Charts, doc.Sections[0].Most = nil, count
		doc.Facts = append(doc.Facts, doc.Facts...)[:count%4] // down by less than a row
		content := written(t, render.FormatPDF, doc)
		pdfWords(t, content)
		text := pdfText(t, content)
		seen := 0
		for i, page := range pages(text) {
			rows := number.FindAllString(page, -1)
			seen += len(rows)
			if len(rows) > 0 != strings.Contains(page, "Median time") {
				t.Errorf("%d rows: page %d has %d rows, and a header: %v", count, i+1, len(rows), strings.Contains(page, "Median time"))
			}
			if i == 0 && len(rows) < 2 || strings.Contains(page, "4,928,131.05") && len(rows) == 0 {
				t.Errorf("%d rows: page %d has %d rows:\n%s", count, i+1, len(rows), page)
			}
		}
		if seen != count || !strings.Contains(text, "of 260 rows are shown") || strings.Count(text, "4,928,131.05") != 1 {
			t.Errorf("%d rows: %d are there", count, seen)
		}
	}
}

func TestPDFNeverCutsANumber(t *testing.T) {
	t.Parallel()
	content := written(t, render.FormatPDF, broad())
	text := pdfText(t, content)
	for _, want := range []string{"1,234,567.891", "12,345,678.910", "2011-06-01 04:15:27", "unbroken"} {
		if want = strings.TrimSuffix(want, "0"); strings.Count(text, want) < 90 {
			t.Errorf("%q is there %d times, want once a row", want, strings.Count(text, want))
		}
	}
	if !strings.Contains(string(content), "/MediaBox [0 0 841.89 595.28]") {
		t.Error("the page stands, want it on its long side")
	}
	late := single([]render.Column{{Name: "n", Type: render.Money}, {Name: "m", Type: render.Money}})
	late.Sections[0].Rows = func(yield func([]any, error) bool) {
		for range 700 {
			if !yield([]any{amount("1"), amount("1")}, nil) {
				return
			}
		}
		yield([]any{amount("123456789012345678901234567890.1234"), amount("123456789012345678901234567890.1234")}, nil)
	}
	content = written(t, render.FormatPDF, late)
	apart(t, pdfWords(t, content))
	if text := pdfText(t, content); strings.Count(text, "123,456,789,012,345,678,901,234,567,890.1234") != 2 {
		t.Error("a number wider than its column was cut")
	}
}

func TestPDFIsSmall(t *testing.T) {
	t.Parallel()
	if size := len(written(t, render.FormatPDF, salesSummary())); size > 100_000 {
		t.Errorf("%d bytes, want fonts of the used letters only", size)
	}
}

func TestPDFWritesWhatItsFontLacksAsQuestionMarks(t *testing.T) {
	t.Parallel()
	text := pdfText(t, written(t, render.FormatPDF, single([]render.Column{{Name: "a"}}, []any{"株式会社 é e\u0301 \u200bЖ 😀 \xff tab\there\nnext"})))
	if want := "???? é é Ж ? ? tab here next"; !strings.Contains(text, want) {
		t.Errorf("%q is missing in:\n%s", want, text)
	}
}
