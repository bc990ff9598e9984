package render

// For tests that look at parts.
var (
	WriteSheets = writeSheets
	SVG         = func(c *Chart, width float64) (string, error) {
		element, err := c.svg(width)
		return string(element), err
	}
	Short = shortName
)

// ChartWidths are those at which pages show charts.
var ChartWidths = []float64{chartWide, chartNarrow}

// Shown is a value as people read it.
func Shown(column ColumnType, value any) string { return (&Column{Type: column}).people(value) }

// Axis are the labels of the value axis that fits the values.
func Axis(steps float64, values ...float64) []string {
	s := newScale([]Series{{Values: values}}, steps)
	var labels []string
	for _, v := range s.marks() {
		labels = append(labels, s.label(v, 0))
	}
	return labels
}
