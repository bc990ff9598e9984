package render

// Chart is a picture of numbers that people would rather look at than read. Every series has one value
// per label.
type Chart struct {
	Kind                  ChartKind
	Title, XTitle, YTitle string // the titles of the axes say their units: "Net sales, GBP"
	Labels                []string
	Series                []Series // named in a legend when there are several
}

// Series is one line of a chart, or one bar per label. The values are for drawing only, hence floats.
type Series struct {
	Name   string
	Values []float64
}

// ChartKind is a way of drawing.
type ChartKind int

// The kinds of charts.
const (
	LineChart ChartKind = iota // along a time: labels may be left out when there are many
	BarChart                   // vertical bars
	RankChart                  // horizontal bars, the first label on top; XTitle names the labels, YTitle the values, as for the other kinds
)
