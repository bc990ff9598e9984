package render

import (
	"html/template"
	"strings"
	"unicode/utf8"
)

// pageTable is a section whose rows are being written.
type pageTable struct {
	page    *page
	section *Section
	titled  bool
	places  []int    // decimals of the amounts
	texts   []string // classes of the columns that are texts
	rows    [][]pageCell
	empty   bool
}

// pageCell is a value with its looks. Pad are digits that are not seen: they put its point under the others'.
type pageCell struct{ Text, Class, Pad string }

// begin writes what stands before the rows.
func (t *pageTable) begin(first [][]any) error {
	s := t.section
	t.places = s.placesOf(first)
	t.texts = textClasses(s, first)
	t.empty = len(first) == 0
	type column struct {
		Title, Class string
	}
	type figure struct {
		Title        string
		Wide, Narrow template.HTML
	}
	var columns []column
	for i := range s.Columns {
		columns = append(columns, column{s.Columns[i].heading(), s.Columns[i].headingClass()})
	}
	var figures []figure
	for i := range s.Charts {
		wide, err := s.Charts[i].svg(chartWide)
		if err != nil {
			return err
		}
		narrow, err := s.Charts[i].svg(chartNarrow)
		if err != nil {
			return err
		}
		figures = append(figures, figure{s.Charts[i].Title, wide, narrow})
	}
	data := map[string]any{"Note": s.Note, "Charts": figures, "Columns": columns, "Label": s.title()}
	if t.titled {
		data["Title"] = s.title()
	}
	if t.empty {
		data["Empty"] = noRows
	}
	return t.page.write("section", data)
}

// shortText is how many characters stand on one line in a table; longer texts wrap.
const shortText = 24

// textClasses are "t" for columns of short texts, and "l" for those of longer ones, which get room to wrap in.
func textClasses(s *Section, first [][]any) []string {
	classes := make([]string, len(s.Columns))
	for i := range s.Columns {
		if c := &s.Columns[i]; c.Type == Text {
			classes[i] = "t"
			for _, row := range first {
				if utf8.RuneCountInString(c.people(row[i])) > shortText {
					classes[i] = "l"
				}
			}
		}
	}
	return classes
}

// headingClass gives a longer heading room, so that it does not take a line per word.
func (c *Column) headingClass() string {
	const short = 10
	class := ""
	if c.right() {
		class = "n"
	}
	if utf8.RuneCountInString(c.heading()) > short {
		class += " w"
	}
	return strings.TrimSpace(class)
}

func (t *pageTable) add(row []any) error {
	t.rows = append(t.rows, t.cells(row))
	if len(t.rows) < pageRows {
		return nil
	}
	return t.flush()
}

func (t *pageTable) flush() error {
	rows := t.rows
	t.rows = t.rows[:0]
	return t.page.write("rows", rows)
}

func (t *pageTable) cells(row []any) []pageCell {
	cells := make([]pageCell, len(row))
	for i, value := range row {
		c := &t.section.Columns[i]
		cell := pageCell{Text: c.people(value)}
		_, label := value.(string)
		switch {
		case value == nil:
			cell.Class = "x"
		case c.Type == Date || c.Type == Instant:
			cell.Class = "t"
		case utf8.RuneCountInString(cell.Text) <= shortText || t.texts[i] == "l":
			cell.Class = t.texts[i]
		}
		if c.right() {
			cell.Class = strings.TrimSpace("n " + cell.Class)
		}
		if c.Type == Money && value != nil && !label {
			cell.Pad = strings.Repeat("0", max(0, t.places[i]-decimals(cell.Text)))
		}
		cells[i] = cell
	}
	return cells
}

// end writes the totals and what stands after the rows.
func (t *pageTable) end(in *source) error {
	totals, err := in.totals()
	if err != nil {
		return err
	}
	data := map[string]any{"Hidden": in.hidden()}
	if totals != nil {
		cells := t.cells(totals)
		for i, shown := range t.section.shownTotals(totals) {
			cells[i].Text = shown[0]
		}
		data["Totals"] = cells
	}
	return t.page.write("end", data)
}
