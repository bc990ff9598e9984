package render

// headingWidth is the least width at which a heading takes no more than two lines.
func (p *paper) headingWidth(heading string, size float64) float64 {
	low, high := 0.0, p.textWidth(heading, "B", size)
	for high-low > 1 {
		if half := (low + high) / 2; p.headingFits(heading, size, half) {
			high = half
		} else {
			low = half
		}
	}
	return high
}

func (p *paper) headingFits(heading string, size, width float64) bool {
	lines := p.wrap(heading, "B", size, width, headLines)
	whole := ""
	for i, line := range lines {
		if i > 0 {
			whole += " "
		}
		whole += line
	}
	return len(lines) <= 2 && whole == p.glyphs.clean(heading)
}

// wide says that the columns do not fit on a page that stands on its short side.
func (t *table) wide() bool {
	total := t.gaps()
	for i, width := range t.wanted {
		if t.section.Columns[i].Type == Text {
			width = min(width, textAtEase*t.section.Columns[i].hint())
		}
		total += width
	}
	return total > pageShort-2*pageMargin
}

// fit makes the columns as wide as the page allows: the texts narrower and wrapped where there is not
// room for all, then everything smaller.
func (t *table) fit(width float64) {
	numbers, texts, least := t.gaps(), 0.0, 0.0
	for i, wanted := range t.wanted {
		if t.section.Columns[i].Type == Text {
			texts += wanted
			least += min(wanted, textAtLeast)
		} else {
			numbers += wanted
		}
	}
	if numbers+least > width {
		shrink := width / (numbers + least)
		t.size *= shrink
		t.gap *= shrink
		for i := range t.wanted {
			t.wanted[i] *= shrink
		}
		numbers, texts = numbers*shrink, texts*shrink
	}
	t.widths = append([]float64(nil), t.wanted...)
	if numbers+texts > width {
		t.narrow(width - numbers)
	} else {
		t.spread(width - numbers - texts)
	}
	t.header = t.wrapped(t.headings(), "B", headLines)
	for i := range t.first {
		t.first[i] = t.wrapped(t.first[i].cells, "", cellLines)
	}
}

// narrow cuts the widest text columns down until all fit into the room that texts have.
func (t *table) narrow(room float64) {
	var texts []int
	for i, c := range t.section.Columns {
		if c.Type == Text {
			texts = append(texts, i)
		}
	}
	low, high := 0.0, room
	for range 40 {
		most, total := (low+high)/2, 0.0
		for _, i := range texts {
			total += min(t.wanted[i], most)
		}
		if total <= room {
			low = most
		} else {
			high = most
		}
	}
	for _, i := range texts {
		t.widths[i] = min(t.wanted[i], low)
	}
}

// spread gives what is left of the page's width to the columns, but never so much that the eye loses
// its line between two of them.
func (t *table) spread(room float64) {
	const most = 70
	each := min(room/float64(len(t.widths)), most)
	for i := range t.widths {
		t.widths[i] += each
	}
}
