package render

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
)

// cell is a value as its column's cells hold it. A text is a text cell whatever it begins with, never a
// formula; a number of more digits than a spreadsheet keeps is a text too, so that none is lost.
func cell(c *Column, value any, styles *[Seconds + 1]int) any {
	style := styles[c.Type]
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return excelize.Cell{StyleID: styles[Text], Value: sheetText(v)}
	case int64:
		if number := decimal.NewFromInt(v); digits(number) > sheetDigits {
			return excelize.Cell{StyleID: style, Value: number.String()}
		}
		return excelize.Cell{StyleID: style, Value: v}
	case decimal.Decimal:
		if digits(v) > sheetDigits {
			return excelize.Cell{StyleID: style, Value: v.String()}
		}
		return excelize.Cell{StyleID: style, Value: v.InexactFloat64()} // exact in its shortest form, with so few digits
	case float64:
		return excelize.Cell{StyleID: style, Value: v}
	case Day:
		return sheetTime(style, v.midnight(), v.String())
	case time.Time:
		return sheetTime(style, v.UTC(), v.UTC().Format(time.RFC3339))
	}
	return excelize.Cell{StyleID: style, Value: fmt.Sprint(value)}
}

// sheetTime is an instant, as text when it lies before the first day of a spreadsheet's calendar.
func sheetTime(style int, at time.Time, text string) excelize.Cell {
	if at.Year() < 1900 || at.Year() > 9999 {
		return excelize.Cell{StyleID: style, Value: text}
	}
	return excelize.Cell{StyleID: style, Value: at}
}

// sheetDigits is how many significant digits a spreadsheet's number keeps.
const sheetDigits = 15

// digits counts the significant digits, those at the end that are zero left out where that matters.
func digits(number decimal.Decimal) int {
	if all := number.NumDigits(); all <= sheetDigits {
		return all
	}
	return len(strings.Trim(number.Coefficient().String(), "-0"))
}

// sheetText shortens a text that is longer than a cell takes; csv and jsonl hold all of it.
func sheetText(text string) string {
	if len(text) <= excelize.TotalCellChars {
		return text
	}
	units := utf16.Encode([]rune(text))
	if len(units) <= excelize.TotalCellChars {
		return text
	}
	return string(utf16.Decode(units[:excelize.TotalCellChars-2])) + "…"
}

// sheetStyles are the numbers of the file's styles.
type sheetStyles struct {
	title, label, wrapped, header, headerRight int
	values, totals                             [Seconds + 1]int // by type of column
}

// numberFormats are a spreadsheet's ways to show the types of columns.
var numberFormats = [Seconds + 1]string{
	Text: "@", Integer: "#,##0", Money: "#,##0.00##", Ratio: "0.0%", Date: "yyyy-mm-dd", Instant: "yyyy-mm-dd hh:mm:ss", Seconds: "#,##0.000",
}

func (b *workbook) makeStyles() error {
	fill := excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"EEF1F6"}}
	under := []excelize.Border{{Type: "bottom", Style: 1, Color: "8A94A6"}}
	over := []excelize.Border{{Type: "top", Style: 1, Color: "1A2230"}}
	bold := &excelize.Font{Bold: true}
	styles := []styleWanted{
		{&b.styles.title, excelize.Style{Font: &excelize.Font{Bold: true, Size: 16}}},
		{&b.styles.label, excelize.Style{Font: &excelize.Font{Color: "586377"}, Alignment: &excelize.Alignment{Vertical: "top"}}},
		{&b.styles.wrapped, excelize.Style{Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}},
		{&b.styles.header, excelize.Style{Font: bold, Fill: fill, Border: under}},
		{&b.styles.headerRight, excelize.Style{Font: bold, Fill: fill, Border: under, Alignment: &excelize.Alignment{Horizontal: "right"}}},
	}
	for of := range numberFormats {
		value := excelize.Style{CustomNumFmt: &numberFormats[of]}
		if c := (Column{Type: ColumnType(of)}); c.right() {
			value.Alignment = &excelize.Alignment{Horizontal: "right"} // digits that are text too
		}
		total := value
		total.Font, total.Border = bold, over
		styles = append(styles, styleWanted{&b.styles.values[of], value}, styleWanted{&b.styles.totals[of], total})
	}
	for _, wanted := range styles {
		id, err := b.file.NewStyle(&wanted.style)
		if err != nil {
			return fmt.Errorf("make a style: %w", err)
		}
		*wanted.id = id
	}
	return nil
}

type styleWanted struct {
	id    *int
	style excelize.Style
}
