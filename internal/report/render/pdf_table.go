package render

// The look of a table, in points.
const (
	cellSize    = 8.5 // of the letters, when the columns fit
	lineStep    = 1.3 // from base line to base line, in sizes
	cellLines   = 4   // a cell's text is cut after so many
	headLines   = 3
	rowPadding  = 3.2 // over and under a row's texts
	columnGap   = 12
	textAtEase  = 150 // a text column this wide needs no wider page
	textAtMost  = 230 // wider ones wrap
	textAtLeast = 60
)

// table writes a section's rows. It holds the last row back until the next is known, so that neither a
// row nor the totals stand alone on a page.
type table struct {
	paper   *paper
	section *Section
	size    float64   // of the letters
	gap     float64   // between columns
	wanted  []float64 // widths that hold all values on one line
	places  []int     // decimals of the amounts
	widths  []float64
	header  tableRow
	first   []tableRow // measured rows, for the height that must not be broken
	held    *tableRow
	placed  bool // the header stands on this page
}

// tableRow is one row, wrapped.
type tableRow struct {
	cells  [][]string // lines by column
	places []int      // decimals of the amounts
	style  string
	height float64
}

// measure finds the widths that the columns want. The totals, when they are known already, count as a row.
func (t *table) measure(first [][]any) {
	t.size, t.gap = cellSize, columnGap
	rows := first
	if len(t.section.Totals) == len(t.section.Columns) {
		rows = append(rows[:len(rows):len(rows)], t.section.Totals)
	}
	t.places = t.section.placesOf(first)
	digit := t.paper.textWidth("0", "", t.size)
	t.wanted = make([]float64, len(t.section.Columns))
	for i := range t.section.Columns {
		c := &t.section.Columns[i]
		for _, row := range rows {
			shown := c.people(row[i])
			width := t.paper.textWidth(shown, "B", t.size)
			if c.Type == Money {
				width += digit * float64(max(0, t.places[i]-decimals(shown)))
			}
			t.wanted[i] = max(t.wanted[i], width)
		}
		if c.Type == Text {
			t.wanted[i] = min(t.wanted[i], textAtMost*c.hint())
		}
		t.wanted[i] = max(t.wanted[i], t.paper.headingWidth(c.heading(), t.size)) + 0.5
	}
	t.first = nil
	for _, row := range first[:min(len(first), 2)] {
		t.first = append(t.first, tableRow{cells: t.section.shown(row)})
	}
}

// shown are a row's values as people read them, each a line of its own.
func (s *Section) shown(row []any) [][]string {
	cells := make([][]string, len(row))
	for i, value := range row {
		cells[i] = []string{s.Columns[i].people(value)}
	}
	return cells
}

// shownTotals are totals as people read them: nothing where there is none, as a dash would ask why.
func (s *Section) shownTotals(totals []any) [][]string {
	cells := s.shown(totals)
	for i, value := range totals {
		if value == nil {
			cells[i] = []string{""}
		}
	}
	return cells
}

func (c *Column) hint() float64 {
	if c.Width > 0 {
		return c.Width
	}
	return 1
}

func (t *table) gaps() float64 { return t.gap * float64(len(t.wanted)-1) }

func (t *table) headings() [][]string {
	cells := make([][]string, len(t.section.Columns))
	for i := range t.section.Columns {
		cells[i] = []string{t.section.Columns[i].heading()}
	}
	return cells
}

// wrapped breaks the cells that are texts into lines.
func (t *table) wrapped(cells [][]string, style string, most int) tableRow {
	row := tableRow{cells: make([][]string, len(cells)), places: make([]int, len(cells)), style: style}
	lines := 1
	for i, cell := range cells {
		row.places[i] = decimals(cell[0])
		row.cells[i] = cell
		if t.section.Columns[i].Type == Text || most == headLines {
			row.cells[i] = t.paper.wrap(cell[0], style, t.size, t.widths[i], most)
		}
		lines = max(lines, len(row.cells[i]))
	}
	row.height = t.size*(1+lineStep*float64(lines-1)) + 2*rowPadding
	return row
}

// leastHeight is what the header takes with the first two rows.
func (t *table) leastHeight() float64 {
	height := t.header.height
	for _, row := range t.first {
		height += row.height
	}
	return height
}
