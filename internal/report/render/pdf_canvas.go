package render

import (
	"image"
	"image/color"
	"math"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// affine maps a chart's points, whose y grows upwards, to a page's: x' = a·x + c·y + e, y' = b·x + d·y + f.
type affine struct{ a, b, c, d, e, f float64 }

func (m affine) point(x, y float64) (float64, float64) {
	return m.a*x + m.c*y + m.e, m.b*x + m.d*y + m.f
}

// after is the map that applies n first.
func (m affine) after(n affine) affine {
	e, f := m.point(n.e, n.f)
	return affine{
		a: m.a*n.a + m.c*n.b, b: m.b*n.a + m.d*n.b,
		c: m.a*n.c + m.c*n.d, d: m.b*n.c + m.d*n.d, e: e, f: f,
	}
}

// paperCanvas lets the plotting library draw on a page of a pdf, with the page's own fonts.
type paperCanvas struct {
	paper *paper
	at    affine
	color color.RGBA
	width float64 // of lines
	dash  []float64
	saved []paperCanvas
}

// SetLineWidth implements vg.Canvas, as do all methods below.
func (c *paperCanvas) SetLineWidth(width vg.Length) { c.width = width.Points() }

// SetLineDash sets the lengths of strokes and gaps; an offset is not used here.
func (c *paperCanvas) SetLineDash(pattern []vg.Length, _ vg.Length) {
	c.dash = nil
	for _, length := range pattern {
		c.dash = append(c.dash, length.Points())
	}
}

// SetColor sets the colour of lines, areas and texts.
func (c *paperCanvas) SetColor(to color.Color) {
	if to == nil {
		to = color.Black
	}
	c.color = color.RGBAModel.Convert(to).(color.RGBA)
}

// Rotate turns what follows counterclockwise by an angle in radians.
func (c *paperCanvas) Rotate(angle float64) {
	sin, cos := math.Sincos(angle)
	c.at = c.at.after(affine{a: cos, b: sin, c: -sin, d: cos})
}

// Translate moves what follows.
func (c *paperCanvas) Translate(by vg.Point) {
	c.at = c.at.after(affine{a: 1, d: 1, e: by.X.Points(), f: by.Y.Points()})
}

// Scale stretches what follows.
func (c *paperCanvas) Scale(x, y float64) { c.at = c.at.after(affine{a: x, d: y}) }

// Push saves the state.
func (c *paperCanvas) Push() { c.saved = append(c.saved, *c) }

// Pop brings back the state saved last.
func (c *paperCanvas) Pop() {
	last := len(c.saved) - 1
	saved := c.saved
	*c = saved[last]
	c.saved = saved[:last]
}

// Stroke draws a line along a path.
func (c *paperCanvas) Stroke(path vg.Path) {
	if c.width <= 0 {
		return
	}
	pdf := c.paper.pdf
	pdf.SetDrawColor(int(c.color.R), int(c.color.G), int(c.color.B))
	pdf.SetLineWidth(c.width)
	pdf.SetDashPattern(c.dash, 0)
	pdf.SetLineJoinStyle("round")
	c.trace(path)
	pdf.DrawPath("D")
}

// Fill fills the area within a path.
func (c *paperCanvas) Fill(path vg.Path) {
	c.paper.pdf.SetFillColor(int(c.color.R), int(c.color.G), int(c.color.B))
	c.trace(path)
	c.paper.pdf.DrawPath("F")
}

// FillString writes a text that begins at a point of its base line.
func (c *paperCanvas) FillString(face font.Face, at vg.Point, text string) {
	pdf := c.paper.pdf
	x, y := c.at.point(at.X.Points(), at.Y.Points())
	angle := math.Atan2(-c.at.b, c.at.a) * 180 / math.Pi // the page's y grows downwards
	if angle == 0 {
		c.paper.text(x, y, text, "", face.Font.Size.Points(), c.color)
		return
	}
	pdf.TransformBegin()
	pdf.TransformRotate(angle, x, y)
	c.paper.text(x, y, text, "", face.Font.Size.Points(), c.color)
	pdf.TransformEnd()
}

// DrawImage draws nothing: charts have no pictures in them.
func (c *paperCanvas) DrawImage(vg.Rectangle, image.Image) {}

func (c *paperCanvas) trace(path vg.Path) {
	pdf := c.paper.pdf
	for _, part := range path {
		x, y := c.at.point(part.Pos.X.Points(), part.Pos.Y.Points())
		switch part.Type {
		case vg.MoveComp:
			pdf.MoveTo(x, y)
		case vg.LineComp:
			pdf.LineTo(x, y)
		case vg.CloseComp:
			pdf.ClosePath()
		case vg.ArcComp:
			c.arc(part)
		case vg.CurveComp:
			c.curve(part, x, y)
		}
	}
}

// arc draws an arc as short straight lines: those of charts are dots.
func (c *paperCanvas) arc(part vg.PathComp) {
	const steps = 24
	for i := 0; i <= steps; i++ {
		sin, cos := math.Sincos(part.Start + part.Angle*float64(i)/steps)
		x, y := c.at.point(part.Pos.X.Points()+part.Radius.Points()*cos, part.Pos.Y.Points()+part.Radius.Points()*sin)
		c.paper.pdf.LineTo(x, y)
	}
}

func (c *paperCanvas) curve(part vg.PathComp, x, y float64) {
	x0, y0 := c.at.point(part.Control[0].X.Points(), part.Control[0].Y.Points())
	if len(part.Control) == 1 {
		c.paper.pdf.CurveTo(x0, y0, x, y)
		return
	}
	x1, y1 := c.at.point(part.Control[1].X.Points(), part.Control[1].Y.Points())
	c.paper.pdf.CurveBezierCubicTo(x0, y0, x1, y1, x, y)
}
