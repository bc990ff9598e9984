package render

import (
	"math"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// labelAlong writes the labels under the axis so that none touches another: side by side where they
// fit, turned where each of them matters, else some of them. It answers how much of the area the first
// of them needs on the left.
func (c *Chart) labelAlong(area draw.Canvas, p *plot.Plot) vg.Length {
	style := &p.X.Tick.Label
	data := p.DataCanvas(area)
	slot := data.Size().X / vg.Length(p.X.Max-p.X.Min)
	if len(c.Labels) == 1 {
		slot = data.Size().X
	}
	const gap = 8
	labels := trimmed(c.Labels)
	widest := widestOf(*style, labels)
	step := 1
	turned := false
	switch halved := inTwoLines(labels, func(label string) bool { return style.Width(label)+gap > slot }); {
	case widest+gap <= slot:
	case c.Kind == BarChart && widestOf(*style, halved)+gap <= slot:
		labels = halved
	case c.Kind == BarChart && !c.ordered() && slot >= labelSize*1.3:
		turned = true
	default:
		step = max(1, int(math.Ceil(float64(min(widest, data.Size().X/3)+gap)/float64(slot))))
	}
	const rise = math.Pi / 4
	most := max(slot*vg.Length(step)-gap, labelSize*2)
	var marks []plot.Tick
	for at := 0; at < len(labels); at += step {
		if turned { // down to the left, as far as the picture goes
			left := data.Min.X - area.Min.X + slot*(vg.Length(at)+0.5)
			most = min(area.Size().Y*0.55, left/vg.Length(math.Cos(rise))-labelSize)
		}
		if label := shortened(*style, labels[at], most); label != "" {
			marks = append(marks, plot.Tick{Value: float64(at), Label: label})
		}
	}
	if turned {
		style.Rotation, style.XAlign, style.YAlign = rise, draw.XRight, draw.YCenter
		p.X.Tick.Length, p.X.Padding = 0, 5 // a mark would strike the last letter
	}
	p.X.Tick.Marker = plot.ConstantTicks(marks)
	if turned || len(marks) == 0 {
		return 0
	}
	return missingLeft(area, p, marks[0])
}

// missingLeft is how much the area lacks on the left of the mark that stands there: the library makes
// room for labels on the right only.
func missingLeft(area draw.Canvas, p *plot.Plot, first plot.Tick) vg.Length {
	data := p.DataCanvas(area)
	return max(0, p.X.Tick.Label.Width(first.Label)/2-(data.X(p.X.Norm(first.Value))-area.Min.X))
}

func trimmed(labels []string) []string {
	clean := make([]string, len(labels))
	for i, label := range labels {
		clean[i] = strings.Join(strings.Fields(label), " ")
	}
	return clean
}

func widestOf(style text.Style, labels []string) vg.Length {
	widest := vg.Length(0)
	for _, label := range labels {
		widest = max(widest, style.Width(label))
	}
	return widest
}

// inTwoLines breaks those labels that are too wide at the space next to their middles.
func inTwoLines(labels []string, wide func(string) bool) []string {
	broken := make([]string, len(labels))
	for i, label := range labels {
		at, best := -1, len(label)
		for space := range len(label) {
			if off := max(2*space-len(label), len(label)-2*space); label[space] == ' ' && off < best {
				at, best = space, off
			}
		}
		if broken[i] = label; at > 0 && wide(label) {
			broken[i] = label[:at] + "\n" + label[at+1:]
		}
	}
	return broken
}

// ordered says that the labels are dates or numbers: where some are left out, people know them.
func (c *Chart) ordered() bool {
	for _, label := range c.Labels {
		if label == "" || !unicode.IsDigit(rune(label[0])) {
			return false
		}
	}
	return true
}
