package render

import "strings"

// add takes the next row and writes the one before.
func (t *table) add(row []any) {
	next := t.wrapped(t.section.shown(row), "", cellLines)
	if t.held != nil {
		keep := 0.0
		if !t.placed {
			keep = next.height // a header has two rows under it
		}
		t.place(t.held, keep)
	}
	t.held = &next
}

// end writes the last row, with the totals and the sentence on rows not shown.
func (t *table) end(totals []any, hidden string) {
	p := t.paper
	if t.held == nil {
		p.need(20)
		p.text(pageMargin, p.y+10, noRows, "", 9, softColor)
		p.y += 30
		return
	}
	const hiddenHeight = 16
	keep := 0.0
	var last tableRow
	if totals != nil {
		last = t.wrapped(t.section.shownTotals(totals), "B", cellLines)
		keep += last.height
	}
	if hidden != "" {
		keep += hiddenHeight
	}
	t.place(t.held, keep)
	if totals != nil {
		p.line(pageMargin, p.y, pageMargin+t.width(), 0.9, inkColor)
		t.draw(&last)
	}
	if hidden != "" {
		p.text(pageMargin, p.y+11, p.short(hidden, "", t.size, p.width()), "", t.size, softColor)
		p.y += hiddenHeight
	}
	p.y += 20
}

// place writes a row where so much more fits under it, under a header on every page.
func (t *table) place(row *tableRow, keep float64) {
	p := t.paper
	if !t.placed {
		p.need(min(t.header.height+row.height+keep, p.full()))
		t.drawHeader()
	} else if p.need(row.height + keep) {
		t.drawHeader()
	} else {
		p.line(pageMargin, p.y, pageMargin+t.width(), 0.4, gridColor)
	}
	t.draw(row)
}

func (t *table) drawHeader() {
	p := t.paper
	t.placed = true
	x := float64(pageMargin)
	for i, lines := range t.header.cells {
		top := t.header.height - rowPadding - t.size*lineStep*float64(len(lines)-1) // the last lines stand in one line
		for n, line := range lines {
			at := x
			if t.section.Columns[i].right() {
				at += t.widths[i] - p.textWidth(line, "B", t.size)
			}
			p.text(at, p.y+top+t.size*lineStep*float64(n), line, "B", t.size, softColor)
		}
		x += t.widths[i] + t.gap
	}
	p.y += t.header.height
	p.line(pageMargin, p.y, pageMargin+t.width(), 0.9, zeroColor)
}

func (t *table) draw(row *tableRow) {
	p := t.paper
	x := float64(pageMargin)
	for i, lines := range row.cells {
		c := &t.section.Columns[i]
		for n, line := range lines {
			size, at := t.size, x
			color := inkColor
			if line == absent {
				color = softColor
			}
			if c.right() {
				size, at = t.right(i, line, row, x)
			}
			p.text(at, p.y+rowPadding+t.size*(0.86+lineStep*float64(n)), line, row.style, size, color)
		}
		x += t.widths[i] + t.gap
	}
	p.y += row.height
}

// right is where a number begins so that its point stands under the others', and how large it is
// written: smaller when it is wider than any of the rows that were measured.
func (t *table) right(i int, line string, row *tableRow, x float64) (size, at float64) {
	p := t.paper
	size = t.size
	room := t.widths[i]
	if t.section.Columns[i].Type == Money && strings.Contains(line, ".") {
		room -= p.textWidth("0", row.style, size) * float64(max(0, t.places[i]-row.places[i]))
	}
	width := p.textWidth(line, row.style, size)
	if width > room {
		size *= room / width
		width = room
	}
	return size, x + room - width
}

// width is what the table takes of the page's.
func (t *table) width() float64 {
	width := t.gaps()
	for _, w := range t.widths {
		width += w
	}
	return width
}
