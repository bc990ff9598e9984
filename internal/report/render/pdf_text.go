package render

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"
	"unicode"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// paperFont is Liberation Sans, as wide as Arial: Latin, Greek, Cyrillic. Only the glyphs used go into the file.
const paperFont = "liberation"

// glyphs says which characters the font has.
type glyphs struct {
	font   *sfnt.Font
	buffer sfnt.Buffer
	has    map[rune]bool
}

func addFonts(pdf *fpdf.Fpdf) (*glyphs, error) {
	font, err := sfnt.Parse(liberationsansregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the font: %w", err)
	}
	pdf.AddUTF8FontFromBytes(paperFont, "", bytes.Clone(liberationsansregular.TTF))
	pdf.AddUTF8FontFromBytes(paperFont, "B", bytes.Clone(liberationsansbold.TTF))
	if err := pdf.Error(); err != nil {
		return nil, fmt.Errorf("add the fonts: %w", err)
	}
	return &glyphs{font: font, has: map[rune]bool{}}, nil
}

// clean makes one line of a text, of characters that the font has: others become a question mark.
func (g *glyphs) clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r), unicode.IsControl(r), unicode.Is(unicode.Variation_Selector, r):
			return -1 // changes how its neighbours look, and looks like nothing itself
		case !g.covers(r):
			return '?'
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(text, "?")))
}

func (g *glyphs) covers(r rune) bool {
	has, known := g.has[r]
	if !known {
		glyph, err := g.font.GlyphIndex(&g.buffer, r)
		has = err == nil && glyph != 0 && r <= 0xffff // fpdf writes no more
		g.has[r] = has
	}
	return has
}

// text writes one line on a base line.
func (p *paper) text(x, base float64, text, style string, size float64, c color.RGBA) {
	p.pdf.SetFont(paperFont, style, size)
	p.pdf.SetTextColor(int(c.R), int(c.G), int(c.B))
	p.pdf.Text(x, base, p.glyphs.clean(text))
}

func (p *paper) textWidth(text, style string, size float64) float64 {
	p.pdf.SetFont(paperFont, style, size)
	return p.pdf.GetStringWidth(p.glyphs.clean(text))
}

// short cuts a text with an ellipsis so that it is no wider than most.
func (p *paper) short(text, style string, size, most float64) string {
	if p.textWidth(text, style, size) <= most {
		return text
	}
	runes := []rune(text)
	low, high := 0, len(runes) // so many runes fit, so many do not
	for low+1 < high {
		if half := (low + high) / 2; p.textWidth(string(runes[:half])+"…", style, size) <= most {
			low = half
		} else {
			high = half
		}
	}
	return strings.TrimRight(string(runes[:low]), " ") + "…"
}

// wrap breaks a text between words, and a word that is too long where it must, into at most so many
// lines; what does not fit is cut with an ellipsis.
func (p *paper) wrap(text, style string, size, width float64, most int) []string {
	words := strings.Fields(p.glyphs.clean(text))
	var lines []string
	for len(words) > 0 {
		if len(lines) == most-1 {
			return append(lines, p.short(strings.Join(words, " "), style, size, width))
		}
		line, taken := words[0], 1
		for taken < len(words) && p.textWidth(line+" "+words[taken], style, size) <= width {
			line += " " + words[taken]
			taken++
		}
		words = words[taken:]
		if head, rest := p.split(line, style, size, width); rest != "" {
			line, words = head, append([]string{rest}, words...)
		}
		lines = append(lines, line)
	}
	return lines
}

// split cuts off what fits of a word that is wider than a line, at least one character.
func (p *paper) split(word, style string, size, width float64) (head, rest string) {
	if p.textWidth(word, style, size) <= width {
		return word, ""
	}
	runes := []rune(word)
	fits := 1
	for fits < len(runes) && p.textWidth(string(runes[:fits+1]), style, size) <= width {
		fits++
	}
	return string(runes[:fits]), string(runes[fits:])
}
