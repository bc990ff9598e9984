package render

import (
	"fmt"
	"slices"
)

// source reads the rows of one section, checked against its columns and counted.
type source struct {
	section *Section
	rows    int64
}

// each hands every row to take, which must not keep it. An error of take is its caller's to explain.
func (s *source) each(take func(row []any) error) error {
	if s.section.Rows == nil {
		return nil
	}
	for row, err := range s.section.Rows {
		if err != nil {
			return fmt.Errorf("section %q: read what follows row %d: %w", s.section.Name, s.rows, err)
		}
		s.rows++
		if err := s.section.checkRow(row, false); err != nil {
			return fmt.Errorf("section %q, row %d: %w", s.section.Name, s.rows, err)
		}
		if err := take(row); err != nil {
			return err
		}
	}
	return nil
}

// measuredRows is how many rows decide how wide the columns become.
const measuredRows = 500

// measured hands the first rows to measure and then all rows, these among them, one by one to take.
func (s *source) measured(measure func(first [][]any) error, take func(row []any) error) error {
	first := make([][]any, 0, measuredRows)
	begin := func() error {
		if err := measure(first); err != nil {
			return err
		}
		for _, row := range first {
			if err := take(row); err != nil {
				return err
			}
		}
		first = nil
		return nil
	}
	err := s.each(func(row []any) error {
		if first == nil {
			return take(row)
		}
		if first = append(first, slices.Clone(row)); len(first) == measuredRows {
			return begin()
		}
		return nil
	})
	if err == nil && first != nil {
		err = begin()
	}
	return err
}

// totals is the section's last line, nil for none. It is asked for after the rows, so that they may have summed it up.
func (s *source) totals() ([]any, error) {
	if s.section.Totals == nil {
		return nil, nil
	}
	if err := s.section.checkRow(s.section.Totals, true); err != nil {
		return nil, fmt.Errorf("section %q, totals: %w", s.section.Name, err)
	}
	return s.section.Totals, nil
}

// visible is measured, for formats that show no more than the section's most rows; the others are counted.
func (s *source) visible(measure func(first [][]any) error, take func(row []any) error) error {
	most, taken := s.section.Most, 0
	return s.measured(func(first [][]any) error {
		if most > 0 {
			first = first[:min(len(first), most)]
		}
		return measure(first)
	}, func(row []any) error {
		if taken++; most > 0 && taken > most {
			return nil
		}
		return take(row)
	})
}

// hidden is what visible left out, as a sentence; empty when nothing.
func (s *source) hidden() string {
	if most := s.section.Most; most > 0 && s.rows > int64(most) {
		return notAll(most, s.rows)
	}
	return ""
}

// placesOf is the most decimals that each column's amounts have, so that their points stand in one line.
func (s *Section) placesOf(rows [][]any) []int {
	places := make([]int, len(s.Columns))
	for i := range s.Columns {
		c := &s.Columns[i]
		for _, row := range rows {
			if c.Type == Money && row[i] != nil {
				places[i] = max(places[i], decimals(c.people(row[i])))
			}
		}
	}
	return places
}
