package render

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// topTitle is what is measured: written over a vertical axis it needs no turned text. Over a chart of
// ranks it names what is ranked.
func (c *Chart) topTitle() string {
	if c.Kind == RankChart {
		return c.rankTitle()
	}
	return c.YTitle
}

// drawAlong draws lines or vertical bars along the labels.
func (c *Chart) drawAlong(area draw.Canvas, p *plot.Plot) {
	values := newScale(c.Series, math.Max(2, float64(area.Size().Y)/42))
	p.Y.Min, p.Y.Max = values.low, values.high
	p.Y.Tick.Marker = values.ticks()
	p.Y.Tick.Label.YAlign = besideBar(-1)
	p.X.Label.Text = c.XTitle
	n := len(c.Labels)
	p.X.Min, p.X.Max = -0.5, float64(n)-0.5
	if c.Kind == LineChart && n > 1 {
		p.X.Min, p.X.Max = 0, float64(n-1)
	}
	area.Min.X += c.labelAlong(area, p)
	p.Add(drawn(func(area draw.Canvas, x, y func(float64) vg.Length) {
		grid := draw.LineStyle{Color: gridColor, Width: 0.6}
		for _, v := range values.marks() {
			area.StrokeLine2(grid, area.Min.X, y(v), area.Max.X, y(v))
		}
		for i, s := range c.Series {
			if c.Kind == BarChart {
				c.drawBars(area, i, s, x, y)
			} else {
				c.drawLine(area, i, s, x, y)
			}
		}
		area.StrokeLine2(draw.LineStyle{Color: zeroColor, Width: 0.9}, area.Min.X, y(0), area.Max.X, y(0))
	}))
	p.Draw(area)
}

func (c *Chart) drawBars(area draw.Canvas, i int, s Series, x, y func(float64) vg.Length) {
	from, to := c.barAt(i, x(1)-x(0))
	for at, v := range s.Values {
		if v != 0 {
			box(area, seriesColor(i), x(float64(at)+from), y(0), x(float64(at)+to), y(v))
		}
	}
}

func (c *Chart) drawLine(area draw.Canvas, i int, s Series, x, y func(float64) vg.Length) {
	points := make([]vg.Point, len(s.Values))
	for at, v := range s.Values {
		points[at] = vg.Point{X: x(float64(at)), Y: y(v)}
	}
	area.StrokeLines(lineStyle(i), points)
	const mostMarked = 40 // more points than these would only thicken the line
	if len(points) <= mostMarked {
		for _, point := range points {
			area.DrawGlyphNoClip(draw.GlyphStyle{Color: seriesColor(i), Radius: 2.2, Shape: draw.CircleGlyph{}}, point)
		}
	}
}
