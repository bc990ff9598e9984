package render

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/shopspring/decimal"
)

// check refuses a document that cannot be written, before its first byte.
func (d *Document) check(format Format) error {
	if len(d.Sections) == 0 {
		return errors.New("the document has no sections")
	}
	seen := map[string]bool{}
	for i := range d.Sections {
		s := &d.Sections[i]
		if s.Name == "" || seen[s.Name] {
			return fmt.Errorf("section %d: the name %q is empty or used twice", i+1, s.Name)
		}
		seen[s.Name] = true
		if err := s.check(); err != nil {
			return fmt.Errorf("section %q: %w", s.Name, err)
		}
	}
	if format == FormatCSV || format == FormatJSONL {
		return d.checkFlat()
	}
	return nil
}

// checkFlat refuses sections that one table cannot hold.
func (d *Document) checkFlat() error {
	first := &d.Sections[0]
	for i := range d.Sections[1:] {
		s := &d.Sections[i+1]
		same := len(s.Columns) == len(first.Columns)
		for c := 0; same && c < len(s.Columns); c++ {
			same = s.Columns[c].Name == first.Columns[c].Name
		}
		if !same {
			return fmt.Errorf("section %q: its columns are not those of section %q; one table cannot hold both", s.Name, first.Name)
		}
	}
	for _, c := range first.Columns {
		if len(d.Sections) > 1 && c.Name == sectionColumn {
			return fmt.Errorf("section %q: column %q has the name of the column that tells the sections apart", first.Name, c.Name)
		}
	}
	return nil
}

func (s *Section) check() error {
	if len(s.Columns) == 0 {
		return errors.New("it has no columns")
	}
	seen := map[string]bool{}
	for i, c := range s.Columns {
		if c.Name == "" || seen[c.Name] {
			return fmt.Errorf("column %d: the name %q is empty or used twice", i+1, c.Name)
		}
		seen[c.Name] = true
		if _, known := takes[c.Type]; !known {
			return fmt.Errorf("column %q: %d is no type of a column", c.Name, c.Type)
		}
	}
	for _, chart := range s.Charts {
		if err := chart.check(); err != nil {
			return fmt.Errorf("chart %q: %w", chart.Title, err)
		}
	}
	return nil
}

// mostDrawn keeps sums and differences of drawn values finite.
const mostDrawn = 1e300

func (c *Chart) check() error {
	if c.Kind < LineChart || c.Kind > RankChart {
		return fmt.Errorf("%d is no kind of a chart", c.Kind)
	}
	for _, s := range c.Series {
		if len(s.Values) != len(c.Labels) {
			return fmt.Errorf("series %q has %d values for %d labels", s.Name, len(s.Values), len(c.Labels))
		}
		for i, v := range s.Values {
			if !(math.Abs(v) <= mostDrawn) {
				return fmt.Errorf("series %q, label %q: %v cannot be drawn", s.Name, c.Labels[i], v)
			}
		}
	}
	return nil
}

// takes names the Go types of a column's values, for people who mixed them up.
var takes = map[ColumnType]string{
	Text: "string", Integer: "int64", Money: "decimal.Decimal", Ratio: "a finite float64 or decimal.Decimal",
	Date: "render.Day", Instant: "time.Time", Seconds: "int64, decimal.Decimal or a finite float64",
}

// checkRow refuses values that do not fit their columns. Any column of a line of totals may hold a label.
func (s *Section) checkRow(row []any, totals bool) error {
	if len(row) != len(s.Columns) {
		return fmt.Errorf("%d values for %d columns", len(row), len(s.Columns))
	}
	for i, value := range row {
		_, label := value.(string)
		if c := &s.Columns[i]; !c.fits(value) && !(totals && label) {
			return fmt.Errorf("column %q takes %s, not %T (%.40s)", c.Name, takes[c.Type], value, fmt.Sprint(value))
		}
	}
	return nil
}

func (c *Column) fits(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return c.Type == Text
	case int64:
		return c.Type == Integer || c.Type == Seconds
	case decimal.Decimal:
		return c.Type == Money || c.Type == Ratio || c.Type == Seconds
	case float64:
		return (c.Type == Ratio || c.Type == Seconds) && !math.IsNaN(v) && !math.IsInf(v, 0)
	case Day:
		return c.Type == Date
	case time.Time:
		return c.Type == Instant
	}
	return false
}
