package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/shopspring/decimal"
)

// writeJSONL writes one object per row and line, its keys in the order of the columns. Money is a
// string, so that no reader rounds it; ratios, counts and seconds are numbers; dates and instants are
// strings.
func writeJSONL(w io.Writer, doc *Document) (int64, error) {
	out := bufio.NewWriterSize(w, linesBuffer)
	keys := keysOf(doc)
	var line bytes.Buffer
	texts := json.NewEncoder(&line)
	texts.SetEscapeHTML(false)
	var rows int64
	for i := range doc.Sections {
		in := source{section: &doc.Sections[i]}
		err := in.each(func(row []any) error {
			line.Reset()
			line.WriteByte('{')
			if len(doc.Sections) > 1 {
				fmt.Fprintf(&line, `%q:`, sectionColumn)
				if err := appendText(&line, texts, in.section.Name); err != nil {
					return err
				}
				line.WriteByte(',')
			}
			for c, value := range row {
				line.Write(keys[c])
				if err := appendJSON(&line, texts, in.section.Columns[c].Type, value); err != nil {
					return err
				}
			}
			line.WriteString("}\n")
			_, err := out.Write(line.Bytes())
			return err
		})
		if rows += in.rows; err != nil {
			return rows, err
		}
	}
	if err := out.Flush(); err != nil {
		return rows, fmt.Errorf("flush: %w", err)
	}
	return rows, nil
}

// keysOf are the columns' names as they stand before their values: `"number":`, `,"country":`.
func keysOf(doc *Document) [][]byte {
	columns := doc.Sections[0].Columns
	keys := make([][]byte, len(columns))
	for i, c := range columns {
		if i > 0 {
			keys[i] = append(keys[i], ',')
		}
		name, _ := json.Marshal(c.Name) // a string has no way to fail
		keys[i] = append(append(keys[i], name...), ':')
	}
	return keys
}

func appendJSON(line *bytes.Buffer, texts *json.Encoder, column ColumnType, value any) error {
	_, isDecimal := value.(decimal.Decimal)
	_, isFloat := value.(float64)
	_, isInteger := value.(int64)
	switch {
	case value == nil:
		line.WriteString("null")
	case isInteger, isFloat, isDecimal && column != Money:
		line.Write(appendPlain(line.AvailableBuffer(), value))
	case column == Text:
		return appendText(line, texts, value.(string))
	default:
		line.WriteByte('"') // money, dates and instants hold nothing to escape
		line.Write(appendPlain(line.AvailableBuffer(), value))
		line.WriteByte('"')
	}
	return nil
}

func appendText(line *bytes.Buffer, texts *json.Encoder, text string) error {
	if err := texts.Encode(text); err != nil {
		return err
	}
	line.Truncate(line.Len() - 1) // the encoder ends what it writes with a line feed
	return nil
}
