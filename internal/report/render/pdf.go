package render

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	"codeberg.org/go-pdf/fpdf"
)

// A page, in points.
const (
	pageShort, pageLong = 595.28, 841.89 // A4
	pageMargin          = 42
	footerHeight        = 26
)

// paper is a pdf being written, from the top of each page to its bottom.
type paper struct {
	pdf    *fpdf.Fpdf
	glyphs *glyphs
	y      float64 // the next line begins here
	wide   bool    // this page lies on its long side
}

// writePDF holds the whole document in memory: a pdf is written when its last page is known.
func writePDF(w io.Writer, doc *Document) (rows int64, err error) {
	p, err := newPaper(doc)
	if err != nil {
		return 0, err
	}
	for i := range doc.Sections {
		read, err := p.section(doc, i)
		if rows += read; err != nil {
			return rows, err
		}
	}
	p.footers(doc)
	if err := p.pdf.Output(w); err != nil {
		return rows, fmt.Errorf("put the pages together: %w", err)
	}
	return rows, nil
}

func newPaper(doc *Document) (*paper, error) {
	pdf := fpdf.NewCustom(&fpdf.InitType{OrientationStr: "P", UnitStr: "pt", SizeStr: "A4"})
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(doc.Made.UTC())
	pdf.SetModificationDate(doc.Made.UTC())
	pdf.SetProducer("Backoffice", true)
	pdf.SetTitle(doc.Title, true)
	pdf.SetLang("en")
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetMargins(pageMargin, pageMargin, pageMargin)
	pdf.SetCellMargin(0)
	glyphs, err := addFonts(pdf)
	if err != nil {
		return nil, err
	}
	return &paper{pdf: pdf, glyphs: glyphs}, nil
}

// newPage opens a page, lying on its long side if wide.
func (p *paper) newPage(wide bool) {
	p.wide = wide
	orientation := "P"
	if wide {
		orientation = "L"
	}
	p.pdf.AddPageFormat(orientation, fpdf.SizeType{Wd: pageShort, Ht: pageLong})
	p.y = pageMargin
}

// width is what lies between the margins.
func (p *paper) width() float64 {
	if p.wide {
		return pageLong - 2*pageMargin
	}
	return pageShort - 2*pageMargin
}

// left is how much of the page's height is left.
func (p *paper) left() float64 {
	height := pageLong
	if p.wide {
		height = pageShort
	}
	return height - pageMargin - footerHeight - p.y
}

// full is the height that an empty page has.
func (p *paper) full() float64 {
	return p.left() + p.y - pageMargin
}

// need begins another page unless so much height is left on this one; it says whether it did.
func (p *paper) need(height float64) bool {
	if p.left() >= height {
		return false
	}
	p.newPage(p.wide)
	return true
}

// section writes one section, on a page of its own when the one before lies on another side.
func (p *paper) section(doc *Document, i int) (int64, error) {
	s := &doc.Sections[i]
	in := source{section: s}
	t := table{paper: p, section: s}
	err := in.visible(func(first [][]any) error {
		t.measure(first)
		if i == 0 {
			p.newPage(t.wide())
			p.top(doc)
		} else if t.wide() != p.wide {
			p.newPage(t.wide())
		}
		t.fit(p.width())
		p.head(s, len(doc.Sections) > 1, t.leastHeight())
		return p.charts(s)
	}, func(row []any) error {
		t.add(row)
		return p.pdf.Error()
	})
	if err != nil {
		return in.rows, err
	}
	totals, err := in.totals()
	if err != nil {
		return in.rows, err
	}
	t.end(totals, in.hidden())
	return in.rows, p.pdf.Error()
}

// top writes the document's title and facts.
func (p *paper) top(doc *Document) {
	for _, line := range p.wrap(doc.Title, "B", 18, p.width(), 3) {
		p.text(pageMargin, p.y+16, line, "B", 18, inkColor)
		p.y += 23
	}
	p.y += 4
	const size, line, gap = 9, 13, 14
	names := 0.0
	for _, fact := range doc.Facts {
		names = max(names, p.textWidth(fact.Name, "", size))
	}
	names = min(names, p.width()/3)
	for _, fact := range doc.Facts {
		values := p.wrap(fact.Value, "", size, p.width()-names-gap, 6)
		p.text(pageMargin, p.y+size, p.short(fact.Name, "", size, names), "", size, softColor)
		for _, value := range values {
			p.text(pageMargin+names+gap, p.y+size, value, "", size, inkColor)
			p.y += line
		}
		if len(values) == 0 {
			p.y += line
		}
	}
	p.y += 10
}

// head writes a section's title and note where they stay with what follows: its first chart, or the
// first rows of its table.
func (p *paper) head(s *Section, titled bool, table float64) {
	const size, line = 13, 18
	var title, note []string
	if titled || s.Title != "" {
		title = p.wrap(s.title(), "B", size, p.width(), 2)
	}
	if s.Note != "" {
		note = p.wrap(s.Note, "", 9, p.width(), 6)
	}
	height := float64(len(title))*line + float64(len(note))*13 + 18
	if rows := p.chartRows(s.Charts); len(rows) > 0 {
		table = rows[0].height
	}
	if !p.need(min(height+table, p.full())) && p.y > pageMargin {
		p.y += 8
	}
	for _, text := range title {
		p.text(pageMargin, p.y+size, text, "B", size, inkColor)
		p.y += line
	}
	for _, text := range note {
		p.text(pageMargin, p.y+9, text, "", 9, softColor)
		p.y += 13
	}
	p.y += 8
}

// footers numbers the pages, now that their count is known.
func (p *paper) footers(doc *Document) {
	pages := p.pdf.PageCount()
	for page := 1; page <= pages; page++ {
		p.pdf.SetPage(page)
		wd, _, _ := p.pdf.PageSize(page)
		_, ht := p.pdf.GetPageSize() // of the last page, from whose top the library goes on to measure
		p.pdf.SetFontSize(1)         // a page opened again does not know its font; an unchanged size would not be written
		number := fmt.Sprintf("Page %d of %d", page, pages)
		numberWidth := p.textWidth(number, "", 8)
		y := ht - pageMargin + 8
		p.line(pageMargin, y-12, wd-pageMargin, 0.4, gridColor)
		p.text(wd-pageMargin-numberWidth, y, number, "", 8, softColor)
		p.text(pageMargin, y, p.short(strings.Join([]string{doc.Title, doc.made()}, "  ·  "), "", 8, wd-2*pageMargin-numberWidth-20), "", 8, softColor)
	}
}

// line is a rule from one x to another.
func (p *paper) line(from, y, to, width float64, c color.RGBA) {
	p.pdf.SetDrawColor(int(c.R), int(c.G), int(c.B))
	p.pdf.SetLineWidth(width)
	p.pdf.Line(from, y, to, y)
}
