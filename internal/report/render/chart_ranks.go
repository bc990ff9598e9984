package render

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// mostRanked is how many bars a chart of ranks shows.
const mostRanked = 30

func (c *Chart) rankTitle() string {
	if len(c.Labels) > mostRanked {
		return fmt.Sprintf("%s (the first %d of %s)", c.XTitle, mostRanked, grouped(fmt.Sprint(len(c.Labels))))
	}
	return c.XTitle
}

// drawRanks draws horizontal bars, the first label on top, each with its value at its end.
func (c *Chart) drawRanks(area draw.Canvas, p *plot.Plot) {
	n := min(len(c.Labels), mostRanked)
	shown := make([]Series, len(c.Series))
	for i, s := range c.Series {
		shown[i] = Series{Name: s.Name, Values: s.Values[:n]}
	}
	var names []plot.Tick
	for at, label := range c.Labels[:n] {
		label = shortened(p.Y.Tick.Label, label, area.Size().X*0.36)
		names = append(names, plot.Tick{Value: -float64(at), Label: label})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Y.Tick.Label.Color = inkColor
	p.Y.Tick.Label.YAlign = besideBar(-1)
	p.Y.Min, p.Y.Max = -float64(n)+0.5, 0.5

	p.X.Label.Text = c.YTitle
	bars := &rankBars{chart: c, series: shown}
	p.Add(bars)
	for steps := 6.0; steps > 0; steps-- {
		bars.values = newScale(shown, steps)
		p.X.Min, p.X.Max = bars.values.low, bars.values.high
		p.X.Tick.Marker = bars.values.ticks()
		if !bars.values.crowded(p.X.Tick.Label, p.DataCanvas(area).Size().X) {
			break
		}
	}
	area.Min.X += missingLeft(area, p, bars.values.ticks()[0])
	p.Draw(area)
}

// crowded says that the labels would nearly touch each other along an axis of that length.
func (s scale) crowded(style text.Style, length vg.Length) bool {
	marks := s.marks()
	widest := vg.Length(0)
	for _, v := range marks {
		widest = max(widest, style.Width(s.label(v, 0)))
	}
	return (widest+14)*vg.Length(len(marks)) > length
}

// rankBars draws the bars of a chart of ranks.
type rankBars struct {
	chart  *Chart
	series []Series
	values scale
}

// Plot implements plot.Plotter.
func (b *rankBars) Plot(area draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&area)
	for _, v := range b.values.marks() {
		area.StrokeLine2(draw.LineStyle{Color: gridColor, Width: 0.6}, x(v), area.Min.Y, x(v), area.Max.Y)
	}
	style := chartText(inkColor, draw.XLeft, besideBar(+1))
	for i, s := range b.series {
		from, to := b.chart.barAt(i, y(1)-y(0))
		for at, v := range s.Values {
			top, bottom := y(-float64(at)-from), y(-float64(at)-to)
			box(area, seriesColor(i), x(0), bottom, x(v), top)
			style.XAlign = b.align(v)
			area.FillText(style, vg.Point{X: x(v) + b.gap(v), Y: (top + bottom) / 2}, b.values.value(v))
		}
	}
	area.StrokeLine2(draw.LineStyle{Color: zeroColor, Width: 0.9}, x(0), area.Min.Y, x(0), area.Max.Y)
}

// GlyphBoxes implements plot.GlyphBoxer: the values at the ends of the bars need room too.
func (b *rankBars) GlyphBoxes(p *plot.Plot) []plot.GlyphBox {
	style := chartText(inkColor, draw.XLeft, draw.YCenter)
	var boxes []plot.GlyphBox
	for _, s := range b.series {
		for _, v := range s.Values {
			style.XAlign = b.align(v)
			r := style.Rectangle(b.values.value(v)).Add(vg.Point{X: b.gap(v)})
			r.Min.Y, r.Max.Y = 0, 0 // the bars' own height is room enough
			boxes = append(boxes, plot.GlyphBox{X: p.X.Norm(v), Y: 0.5, Rectangle: r})
		}
	}
	return boxes
}

// besideBar puts a text's middle where its bar's is: axes write theirs a little higher, texts of one's
// own stand a little lower.
func besideBar(up float64) text.YAlignment {
	return draw.YCenter + text.YAlignment(0.1*up)
}

func (b *rankBars) align(v float64) draw.XAlignment {
	if v < 0 {
		return draw.XRight
	}
	return draw.XLeft
}

func (b *rankBars) gap(v float64) vg.Length {
	if v < 0 {
		return -4
	}
	return 4
}
