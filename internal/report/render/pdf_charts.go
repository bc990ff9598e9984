package render

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	chartTitleHeight = 18
	chartGap         = 24 // between charts side by side
)

// chartRow are charts that stand side by side.
type chartRow struct {
	charts        []Chart
	width, height float64 // of one, its title included
}

// chartRows puts two charts into a row where the page lies on its long side.
func (p *paper) chartRows(charts []Chart) []chartRow {
	most := 1
	if p.wide {
		most = 2
	}
	var rows []chartRow
	for len(charts) > 0 {
		n := min(most, len(charts))
		row := chartRow{charts: charts[:n], width: (p.width() - chartGap*float64(n-1)) / float64(n)}
		for i := range row.charts {
			row.height = max(row.height, row.charts[i].height(row.width))
		}
		row.height = min(chartTitleHeight+row.height, p.full())
		rows = append(rows, row)
		charts = charts[n:]
	}
	return rows
}

func (p *paper) charts(s *Section) error {
	for _, row := range p.chartRows(s.Charts) {
		p.need(row.height)
		x := float64(pageMargin)
		for i := range row.charts {
			p.chart(&row.charts[i], x, row)
			x += row.width + chartGap
		}
		p.y += row.height + 14
	}
	return p.pdf.Error()
}

func (p *paper) chart(c *Chart, x float64, row chartRow) {
	if c.Title != "" {
		p.text(x, p.y+10, p.short(c.Title, "B", 9.5, row.width), "B", 9.5, inkColor)
	}
	height := row.height - chartTitleHeight
	canvas := &paperCanvas{paper: p, at: affine{1, 0, 0, -1, x, p.y + row.height}}
	vg.Initialize(canvas)
	c.draw(draw.NewCanvas(canvas, vg.Length(row.width), vg.Length(height)))
	p.pdf.SetDashPattern(nil, 0)
}
