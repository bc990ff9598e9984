package render_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"backoffice/internal/report/render"
)

// parsed is the page as a browser's parser takes it.
func parsed(t *testing.T, content []byte) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// elements are the descendants of that name.
func elements(root *html.Node, name string) []*html.Node {
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

func textOf(root *html.Node) string {
	var text strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			text.WriteString(n.Data)
		}
	}
	return strings.TrimSpace(text.String())
}

func tableRows(table *html.Node) [][]string {
	var rows [][]string
	for _, tr := range elements(table, "tr") {
		var row []string
		for n := tr.FirstChild; n != nil; n = n.NextSibling {
			if n.Type == html.ElementNode {
				row = append(row, textOf(n))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func TestHTMLSaysWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	root := parsed(t, written(t, render.FormatHTML, salesSummary()))
	tables := elements(root, "table")
	if len(tables) != 2 || len(elements(root, "section")) != 3 || len(elements(root, "svg")) != 4 {
		t.Fatalf("%d tables, %d sections, %d pictures", len(tables), len(elements(root, "section")), len(elements(root, "svg")))
	}
	byMonth := tableRows(tables[0])
	if want := []string{"2011-04", "1,708", "278,404", "−44,601.50", "493,207.121", "288.76", "13.3%"}; len(byMonth) != 8 || !slices.Equal(byMonth[5], want) {
		t.Errorf("by month: %v, want a line %v", byMonth, want)
	}
	if last := tableRows(tables[1])[10]; last[0] != "Total" || last[4] != "3,706,827.641" {
		t.Errorf("totals by country: %v", last)
	}
	for _, want := range []string{"1 Dec 2010 to 31 May 2011, Europe/London", "Müller & Söhne Café £€", "No rows in this period.", "Data of 1 Jun 2011 04:15:27 UTC"} {
		if !strings.Contains(textOf(root), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestHTMLNeedsNothingBesideIt(t *testing.T) {
	t.Parallel()
	for name, sample := range samples {
		content := written(t, render.FormatHTML, sample())
		for n := range parsed(t, content).Descendants() {
			for _, a := range n.Attr {
				if a.Key == "style" && strings.Contains(a.Val, "#") {
					t.Errorf("%s: %s does not follow the reader's light or dark mode", name, a.Val)
				}
				if slices.Contains([]string{"src", "href", "action", "srcset", "background", "poster", "data"}, a.Key) || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
			}
			if slices.Contains([]string{"script", "link", "iframe", "object", "embed", "img", "image", "use", "base"}, n.Data) && n.Type == html.ElementNode {
				t.Errorf("%s: there is a %s element", name, n.Data)
			}
		}
		if found := regexp.MustCompile(`url\(|@import`).FindString(string(content)); found != "" {
			t.Errorf("%s: %s in the page: something outside", name, found)
		}
	}
}

func TestHTMLEscapesEverything(t *testing.T) {
	t.Parallel()
	const hostile = `</style></title></svg><script>alert(1)</script><img src=x onerror=alert(2)>'"&{{.}}`
	doc := single([]render.Column{{Name: "a", Title: hostile}}, []any{hostile})
	doc.Title, doc.Facts = hostile, []render.Fact{{Name: hostile, Value: hostile}}
	s := &doc.Sections[0]
	s.Title, s.Note, s.Totals = hostile, hostile, []any{hostile}
	for _, kind := range []render.ChartKind{render.LineChart, render.BarChart, render.RankChart} {
		s.Charts = append(s.Charts, render.Chart{Kind: kind, Title: hostile, XTitle: hostile, YTitle: hostile, Labels: []string{hostile, "b"},
			Series: []render.Series{{Name: hostile, Values: []float64{1, 2}}, {Name: hostile, Values: []float64{1, 2}}}})
	}
	root := parsed(t, written(t, render.FormatHTML, doc))
	if n := len(elements(root, "script")) + len(elements(root, "img")); n != 0 {
		t.Errorf("%d elements came out of the document's own texts", n)
	}
	for _, name := range []string{"title", "h1", "h2", "dt", "dd", "th", "td", "figcaption"} {
		if got := textOf(elements(root, name)[0]); got != hostile {
			t.Errorf("%s reads %q", name, got)
		}
	}
}

func TestHTMLShowsTheMostRowsAndCountsTheRest(t *testing.T) {
	t.Parallel()
	root := parsed(t, written(t, render.FormatHTML, customers()))
	if rows := tableRows(elements(root, "table")[0]); len(rows) != 1+120+1 {
		t.Errorf("%d rows, want a header, 120 rows and the totals", len(rows))
	}
	if want := "The first 120 of 260 rows are shown; the report as xlsx or csv has all of them."; !strings.Contains(textOf(root), want) {
		t.Errorf("%q is missing", want)
	}
}
