package render_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/net/html"

	"backoffice/internal/report/render"
)

func TestAxesHaveRoundMarksAroundZero(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		values []float64
		want   []string
	}{
		{[]float64{748957.02, 493207.121}, []string{"0", "200,000", "400,000", "600,000", "800,000"}},
		{[]float64{12_500_000, 31_000_000}, []string{"0", "10 M", "20 M", "30 M", "40 M"}},
		{[]float64{2.5e10}, []string{"0", "5 bn", "10 bn", "15 bn", "20 bn", "25 bn"}},
		{[]float64{-12, 31}, []string{"−20", "−10", "0", "10", "20", "30", "40"}},
		{[]float64{-3, -1}, []string{"−3", "−2", "−1", "0"}},
		{[]float64{0, 0, 0}, []string{"0", "1"}},
		{nil, []string{"0", "1"}},
		{[]float64{0.0004}, []string{"0", "0.0001", "0.0002", "0.0003", "0.0004"}},
		{[]float64{10}, []string{"0", "2", "4", "6", "8", "10"}},
		{[]float64{1e20}, []string{"0", "2e+19", "4e+19", "6e+19", "8e+19", "1e+20"}},
		{[]float64{3e-9}, []string{"0", "1e−09", "2e−09", "3e−09"}},
	} {
		if got := render.Axis(4, tc.values...); !cmp.Equal(got, tc.want) {
			t.Errorf("axis of %v: %q, want %q", tc.values, got, tc.want)
		}
	}
}

// TestChartTextsNeitherOverlapNorLeaveThePicture draws every sample chart at both widths and looks at
// where its texts stand.
func TestChartTextsNeitherOverlapNorLeaveThePicture(t *testing.T) {
	t.Parallel()
	for _, doc := range []*render.Document{everyChart(), salesSummary(), customers()} {
		for _, s := range doc.Sections {
			for _, chart := range s.Charts {
				for _, width := range render.ChartWidths {
					svg, err := render.SVG(&chart, width)
					if err != nil {
						t.Fatal(err)
					}
					for _, complaint := range crowded(t, svg) {
						t.Errorf("%q at %.0f points: %s", chart.Title, width, complaint)
					}
				}
			}
		}
	}
}

// label is a text of a chart with the box it takes.
type label struct {
	text                     string
	left, bottom, right, top float64
}

// crowded says which texts touch each other or the picture's border. Turned ones are left to the eye.
func crowded(t *testing.T, svg string) (complaints []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(svg))
	if err != nil {
		t.Fatal(err)
	}
	width, height := 0.0, 0.0
	var labels []label
	var walk func(n *html.Node, turned bool)
	walk = func(n *html.Node, turned bool) {
		at := map[string]string{}
		for _, a := range n.Attr {
			at[a.Key] = a.Val
		}
		turned = turned || strings.Contains(at["transform"], "rotate")
		switch n.Data {
		case "svg":
			_, err := fmt.Sscanf(at["viewBox"], "0 0 %g %g", &width, &height)
			if err != nil {
				t.Fatalf("viewBox %q: %v", at["viewBox"], err)
			}
		case "text":
			if !turned {
				labels = append(labels, labelAt(t, n.FirstChild.Data, at))
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, turned)
		}
	}
	walk(root, false)
	for i, a := range labels {
		if a.left < -1 || a.right > width*1.02+1 || a.bottom < -1 || a.top > height+1 {
			complaints = append(complaints, fmt.Sprintf("%q leaves the picture: %+v", a.text, a))
		}
		for _, b := range labels[:i] {
			if a.left < b.right && b.left < a.right && a.bottom < b.top && b.bottom < a.top {
				complaints = append(complaints, fmt.Sprintf("%q and %q overlap", a.text, b.text))
			}
		}
	}
	return complaints
}

func labelAt(t *testing.T, text string, at map[string]string) label {
	t.Helper()
	x, err := strconv.ParseFloat(at["x"], 64)
	if err != nil {
		t.Fatal(err)
	}
	y, err := strconv.ParseFloat(at["y"], 64)
	if err != nil {
		t.Fatal(err)
	}
	const size = 9
	width := float64(font.MeasureString(letters(t), text)) / 64
	return label{text: text, left: x, right: x + width, bottom: -y - 0.1*size, top: -y + 0.7*size}
}

// letters are those of the charts, as another library measures them.
func letters(t *testing.T) font.Face {
	t.Helper()
	parsed, err := opentype.Parse(liberationsansregular.TTF)
	if err != nil {
		t.Fatal(err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: 9, DPI: 72})
	if err != nil {
		t.Fatal(err)
	}
	return face
}
