package render

import (
	"bufio"
	_ "embed" // the page and its style
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

// Widths at which charts are drawn for a page, in points: one for screens and paper, one for phones.
const chartWide, chartNarrow = 760, 260

// pageRows is how many rows go through the template at once.
const pageRows = 200

// page is an html document being written.
type page struct {
	out      *bufio.Writer
	template *template.Template
}

// writeHTML writes one file that needs nothing beside it: styles and charts are inside, scripts there are none.
func writeHTML(w io.Writer, doc *Document) (rows int64, err error) {
	parsed, err := template.New("page").Parse(pageSource)
	if err != nil {
		return 0, fmt.Errorf("parse the page: %w", err)
	}
	p := page{out: bufio.NewWriterSize(w, linesBuffer), template: parsed}
	if err := p.write("top", map[string]any{"Title": doc.Title, "Facts": doc.Facts, "Style": template.CSS(pageStyle)}); err != nil {
		return 0, err
	}
	for i := range doc.Sections {
		read, err := p.section(&doc.Sections[i], len(doc.Sections) > 1)
		if rows += read; err != nil {
			return rows, err
		}
	}
	if err := p.write("bottom", doc.made()); err != nil {
		return rows, err
	}
	if err := p.out.Flush(); err != nil {
		return rows, fmt.Errorf("flush: %w", err)
	}
	return rows, nil
}

func (p *page) write(part string, data any) error {
	if err := p.template.ExecuteTemplate(p.out, part, data); err != nil {
		return fmt.Errorf("write the page's %s: %w", part, err)
	}
	return nil
}

func (p *page) section(s *Section, titled bool) (int64, error) {
	t := pageTable{page: p, section: s, titled: titled || s.Title != ""}
	in := source{section: s}
	err := in.visible(t.begin, t.add)
	if err == nil {
		err = t.flush()
	}
	if err == nil && !t.empty {
		err = t.end(&in)
	}
	if err == nil {
		err = p.write("close", nil)
	}
	return in.rows, err
}
