package render

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The colours of a chart. Every one has a part of its own, so that a page can give that part another.
var (
	inkColor  = color.RGBA{0x1a, 0x22, 0x30, 0xff}
	softColor = color.RGBA{0x58, 0x63, 0x77, 0xff}
	gridColor = color.RGBA{0xdd, 0xe2, 0xea, 0xff}
	zeroColor = color.RGBA{0x8a, 0x94, 0xa6, 0xff}
)

// seriesColors are Okabe and Ito's, which the colour-blind can tell apart too.
var seriesColors = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff},
	{0xcc, 0x79, 0xa7, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff},
}

// seriesDashes tell the lines apart where colours cannot.
var seriesDashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}, {4, 2}, {1, 2}}

func seriesColor(i int) color.RGBA { return seriesColors[i%len(seriesColors)] }

// labelSize is the size of a chart's texts, in points.
const labelSize = 9

func chartText(c color.Color, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{
		Color: c, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: labelSize},
		XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler,
	}
}

// height is how high the chart wants to be at a width, in points.
func (c *Chart) height(width float64) float64 {
	if len(c.Labels) == 0 {
		return 40
	}
	if c.Kind == RankChart {
		bars := min(len(c.Labels), mostRanked)
		return 60 + float64(bars)*max(16, 14*float64(len(c.Series)))
	}
	return min(200, width*0.75)
}

// draw draws the chart, without its title.
func (c *Chart) draw(area draw.Canvas) {
	if len(c.Labels) == 0 || len(c.Series) == 0 {
		area.FillText(chartText(softColor, draw.XLeft, draw.YCenter), vg.Point{X: area.Min.X, Y: area.Center().Y}, noRows)
		return
	}
	area = c.drawTop(area)
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Padding, axis.Width, axis.Tick.Length = 0, 0, 0
		axis.Label.Padding = 4
		axis.Tick.LineStyle = draw.LineStyle{Color: zeroColor, Width: 0.6}
		axis.Label.TextStyle = chartText(softColor, draw.XCenter, draw.YBottom)
	}
	p.X.Tick.Length = 5
	p.Y.Padding = 4
	p.X.Tick.Label = chartText(softColor, draw.XCenter, draw.YTop-0.2) // lower, or the ticks end in the figures
	p.Y.Tick.Label = chartText(softColor, draw.XRight, draw.YCenter)
	if c.Kind == RankChart {
		c.drawRanks(area, p)
	} else {
		c.drawAlong(area, p)
	}
}

// drawTop writes what stands over the axes, what is measured and the legend, and answers the area left.
func (c *Chart) drawTop(area draw.Canvas) draw.Canvas {
	const line = labelSize * 1.5
	style := chartText(softColor, draw.XLeft, draw.YTop)
	if title := c.topTitle(); title != "" {
		area.FillText(style, vg.Point{X: area.Min.X, Y: area.Max.Y}, shortened(style, title, area.Size().X))
		area.Max.Y -= line
	}
	if len(c.Series) > 1 {
		const key, gap = 16, 14
		at := vg.Point{X: area.Min.X, Y: area.Max.Y}
		style.Color = inkColor
		for i, s := range c.Series {
			name := shortened(style, s.Name, area.Size().X-key-4)
			if width := style.Width(name); at.X > area.Min.X && at.X+key+4+width > area.Max.X {
				at = vg.Point{X: area.Min.X, Y: at.Y - line}
			}
			c.drawKey(area, i, vg.Point{X: at.X, Y: at.Y - labelSize*0.6}, key)
			area.FillText(style, vg.Point{X: at.X + key + 4, Y: at.Y}, name)
			at.X += key + 4 + style.Width(name) + gap
		}
		area.Max.Y = at.Y - line
	}
	area.Max.Y -= 4
	return area
}

// drawKey draws the sample of a series in the legend.
func (c *Chart) drawKey(area draw.Canvas, i int, at vg.Point, width vg.Length) {
	if c.Kind == LineChart {
		area.StrokeLine2(lineStyle(i), at.X, at.Y, at.X+width, at.Y)
		return
	}
	const half = 4
	area.FillPolygon(seriesColor(i), []vg.Point{
		{X: at.X, Y: at.Y - half}, {X: at.X + width, Y: at.Y - half}, {X: at.X + width, Y: at.Y + half}, {X: at.X, Y: at.Y + half},
	})
}

func lineStyle(i int) draw.LineStyle {
	return draw.LineStyle{Color: seriesColor(i), Width: 1.6, Dashes: seriesDashes[i%len(seriesDashes)]}
}

// shortened cuts a text with an ellipsis so that it is no wider than most.
func shortened(style text.Style, s string, most vg.Length) string {
	if style.Width(s) <= most {
		return s
	}
	runes := []rune(s)
	low, high := 0, len(runes) // so many runes fit, so many do not
	for low+1 < high {
		if half := (low + high) / 2; style.Width(string(runes[:half])+"…") <= most {
			low = half
		} else {
			high = half
		}
	}
	return string(runes[:low]) + "…"
}

// drawn is a part of the picture that the plot places.
type drawn func(area draw.Canvas, x, y func(float64) vg.Length)

// Plot implements plot.Plotter.
func (d drawn) Plot(area draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&area)
	d(area, x, y)
}

// box is a filled rectangle between two corners.
func box(area draw.Canvas, c color.Color, x0, y0, x1, y1 vg.Length) {
	area.FillPolygon(c, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

// barAt is where a bar of a group stands around its label's place, in units of labels, which lie slot apart.
func (c *Chart) barAt(series int, slot vg.Length) (from, to float64) {
	const share, widest = 0.72, 64
	group := min(share, widest*float64(len(c.Series))/slot.Points())
	width := group / float64(len(c.Series))
	from = -group/2 + float64(series)*width
	return from, from + width
}
