package render

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// scale is a value axis: marks at round numbers, from at or below the least value and zero to at or
// above the greatest.
type scale struct {
	low, high, step float64
	unit            float64 // what one in a label stands for: 1, a million or a thousand million
	decimals        int     // of the labels; -1 as many as are needed, with an exponent
}

// newScale fits about wanted steps around the values. Zero is always on the axis.
func newScale(series []Series, wanted float64) scale {
	low, high, whole := 0.0, 0.0, true
	for _, s := range series {
		for _, v := range s.Values {
			low, high, whole = min(low, v), max(high, v), whole && v == math.Trunc(v)
		}
	}
	if high-low < 1e-290 { // nothing but zeros, or as good as
		return scale{high: 1, step: 1, unit: 1}
	}
	step := roundStep((high - low) / wanted)
	if whole {
		step = max(1, step) // half an order is no mark
	}
	s := scale{low: math.Floor(low/step) * step, high: math.Ceil(high/step) * step, step: step, unit: 1}
	switch most := max(-s.low, s.high); {
	case most >= 1e15 || step < 1e-6:
		s.decimals = -1
		return s
	case most >= 1e10:
		s.unit = 1e9
	case most >= 1e7:
		s.unit = 1e6
	}
	for s.decimals < 9 && math.Abs(step/s.unit-round(step/s.unit, s.decimals)) > step/s.unit*1e-6 {
		s.decimals++
	}
	return s
}

// roundStep is the least of 1, 2 and 5 times a power of ten that is not much below the step.
func roundStep(step float64) float64 {
	const much = 0.72
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, times := range []float64{1, 2, 5} {
		if times*power >= step*much {
			return times * power
		}
	}
	return 10 * power
}

func round(v float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(v*p) / p
}

// marks are the values that the axis labels.
func (s scale) marks() []float64 {
	var marks []float64
	for i := math.Round(s.low / s.step); i <= math.Round(s.high/s.step); i++ {
		marks = append(marks, i*s.step)
	}
	return marks
}

// ticks are the marks with their labels.
func (s scale) ticks() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, v := range s.marks() {
		ticks = append(ticks, plot.Tick{Value: v, Label: s.label(v, 0)})
	}
	return ticks
}

// label writes a value as the axis does, with more decimals where asked for: 750,000 or 0.75 M.
func (s scale) label(v float64, more int) string {
	if v == 0 {
		return "0"
	}
	if s.decimals < 0 {
		return strings.Replace(strconv.FormatFloat(v, 'g', 3, 64), "-", "−", 1)
	}
	text := strconv.FormatFloat(v/s.unit, 'f', s.decimals+more, 64)
	if strings.Trim(text, "-0.") == "" { // too small for these decimals, yet not nothing
		return strings.Replace(strconv.FormatFloat(v, 'g', 2, 64), "-", "−", 1)
	}
	text = grouped(text)
	switch s.unit {
	case 1e9:
		return text + " bn"
	case 1e6:
		return text + " M"
	}
	return text
}

// value writes one of the drawn values, with three digits where they are few.
func (s scale) value(v float64) string {
	switch {
	case s.unit > 1:
		return s.label(v, max(0, 2-s.decimals))
	case s.decimals < 0 || v == math.Trunc(v) || math.Abs(v) >= 1000:
		return s.label(v, 0)
	}
	if math.Abs(v) < 1e-4 {
		return strings.Replace(strconv.FormatFloat(v, 'g', 3, 64), "-", "−", 1)
	}
	text := strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return grouped(text)
}
