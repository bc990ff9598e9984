package render

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// sheet writes the rows of one section, over as many sheets as it takes.
type sheet struct {
	book    *workbook
	section *Section
	widths  []float64
	name    string
	out     *excelize.StreamWriter // nil before the first row
	row     int64                  // the last one written, from 1
	cells   []any                  // of the row being written
}

func (b *workbook) section(s *Section) (int64, error) {
	sheet := sheet{book: b, section: s, cells: make([]any, len(s.Columns))}
	in := source{section: s}
	err := in.measured(sheet.begin, func(row []any) error { return sheet.write(row, &b.styles.values) })
	if err != nil {
		return in.rows, err
	}
	filled := sheet.row
	totals, err := in.totals()
	if err == nil && totals != nil {
		if sheet.row == b.sheetRows {
			filled = 1
		}
		err = sheet.write(totals, &b.styles.totals)
	}
	if err == nil {
		err = sheet.end(filled)
	}
	return in.rows, err
}

// begin measures the columns and opens the first sheet.
func (s *sheet) begin(first [][]any) error {
	s.widths = make([]float64, len(s.section.Columns))
	for i := range s.section.Columns {
		s.widths[i] = sheetWidth(&s.section.Columns[i], i, first)
	}
	return s.open()
}

func (s *sheet) open() error {
	name, out, err := s.book.newSheet(s.section.title())
	if err != nil {
		return err
	}
	s.name, s.out, s.row = name, out, 1
	for i, width := range s.widths {
		if err := out.SetColWidth(i+1, i+1, width); err != nil {
			return fmt.Errorf("sheet %q: %w", name, err)
		}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return fmt.Errorf("sheet %q: freeze the header: %w", name, err)
	}
	for i := range s.section.Columns {
		c := &s.section.Columns[i]
		style := s.book.styles.header
		if c.right() {
			style = s.book.styles.headerRight
		}
		s.cells[i] = excelize.Cell{StyleID: style, Value: sheetHeading(c)}
	}
	if err := out.SetRow("A1", s.cells); err != nil {
		return fmt.Errorf("sheet %q, header: %w", name, err)
	}
	return nil
}

// write adds a row, in a new sheet when this one is full.
func (s *sheet) write(row []any, styles *[Seconds + 1]int) error {
	if s.row == s.book.sheetRows {
		if err := errors.Join(s.end(s.row), s.open()); err != nil {
			return err
		}
	}
	s.row++
	for i, value := range row {
		s.cells[i] = cell(&s.section.Columns[i], value, styles)
	}
	if err := s.out.SetRow(fmt.Sprintf("A%d", s.row), s.cells); err != nil {
		return fmt.Errorf("sheet %q, row %d: %w", s.name, s.row, err)
	}
	return nil
}

// end closes the sheet; its filter covers the rows down to the one given.
func (s *sheet) end(filtered int64) error {
	last, err := excelize.ColumnNumberToName(len(s.section.Columns))
	if err == nil {
		err = s.book.file.AutoFilter(s.name, fmt.Sprintf("A1:%s%d", last, filtered), nil)
	}
	if err == nil {
		err = s.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("end sheet %q: %w", s.name, err)
	}
	return nil
}

// sheetWidth fits a column, in characters, to its header and first values.
func sheetWidth(c *Column, place int, first [][]any) float64 {
	const least, most, filterButton = 9, 60, 4
	chars := utf8.RuneCountInString(sheetHeading(c)) + filterButton
	for _, row := range first {
		chars = max(chars, utf8.RuneCountInString(c.people(row[place]))+2)
	}
	return min(max(float64(chars), least), most*c.hint(), excelize.MaxColumnWidth)
}

// sheetHeading says the unit of seconds too: the sheet's numbers do not.
func sheetHeading(c *Column) string {
	if c.Type == Seconds {
		return c.heading() + " (s)"
	}
	return c.heading()
}
