package render

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"regexp"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// svg draws the chart at a width in points, as an element for a page whose style sheet names the colours.
func (c *Chart) svg(width float64) (template.HTML, error) {
	canvas := vgsvg.New(vg.Length(width), vg.Length(c.height(width)))
	c.draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", fmt.Errorf("draw chart %q: %w", c.Title, err)
	}
	_, element, found := strings.Cut(out.String(), "<svg")
	if !found {
		return "", fmt.Errorf("draw chart %q: the library gave no svg element", c.Title)
	}
	element = svgText.ReplaceAllStringFunc(element, fitted)
	return template.HTML("<svg" + pageColors().Replace(element)), nil // the library escapes the texts
}

var svgText = regexp.MustCompile(`<text ([^>]*)>([^<]*)</text>`)

// fitted makes a text as wide as it was measured, whatever font the reader has: texts that end at an
// axis stay clear of it.
func fitted(element string) string {
	parts := svgText.FindStringSubmatch(element)
	width := chartText(inkColor, draw.XLeft, draw.YTop).Width(html.UnescapeString(parts[2]))
	return fmt.Sprintf(`<text textLength="%.5g" lengthAdjust="spacingAndGlyphs" %s>%s</text>`, width.Points(), parts[1], parts[2])
}

// pageColors puts the page's variables, which follow the reader's light or dark mode, in place of the
// chart's colours, and names fonts of the same widths as the one that was measured.
func pageColors() *strings.Replacer {
	pairs := []string{"font-family:Liberation Sans", "font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif"}
	set := func(c color.RGBA, name string) {
		code := fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B)
		for _, property := range []string{"fill:", "stroke:"} {
			pairs = append(pairs, property+code, property+"var(--"+name+")")
		}
	}
	set(inkColor, "ink")
	set(softColor, "soft")
	set(gridColor, "line")
	set(zeroColor, "zero")
	for i, c := range seriesColors {
		set(c, fmt.Sprintf("c%d", i+1))
	}
	return strings.NewReplacer(pairs...)
}
