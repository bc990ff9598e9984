package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// sectionColumn tells the sections apart where one table holds them all.
const sectionColumn = "section"

// linesBuffer is how many bytes of lines are gathered before they are written.
const linesBuffer = 64 << 10

// writeCSV writes what Postgres's COPY (format csv, header) would: LF, quotes only where needed, null
// empty and the empty string quoted. Texts are not altered, although a spreadsheet may take one that
// begins with "=" for a formula: what is read back must be what was written. For spreadsheets there is
// xlsx, whose cells say that they are text.
func writeCSV(w io.Writer, doc *Document) (int64, error) {
	out := bufio.NewWriterSize(w, linesBuffer)
	several := len(doc.Sections) > 1
	var line []byte
	if several {
		line = append(line, sectionColumn+","...)
	}
	columns := doc.Sections[0].Columns
	for i, c := range columns {
		line = appendField(line, i, c.Name, len(columns) == 1 && !several)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return 0, err
	}
	var rows int64
	for i := range doc.Sections {
		in := source{section: &doc.Sections[i]}
		err := in.each(func(row []any) error {
			line = line[:0]
			if several {
				line = append(appendField(line, 0, in.section.Name, false), ',')
			}
			for c, value := range row {
				line = appendField(line, c, value, len(row) == 1 && !several)
			}
			_, err := out.Write(append(line, '\n'))
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

// appendField appends the value at a place of a line. One that stands alone in its line is also quoted
// when it would read as the end of the data.
func appendField(line []byte, place int, value any, alone bool) []byte {
	if place > 0 {
		line = append(line, ',')
	}
	text, isText := value.(string)
	switch {
	case value == nil:
		return line
	case !isText:
		return appendPlain(line, value) // none of these forms needs quotes
	case text != "" && !strings.ContainsAny(text, ",\"\r\n") && !(alone && text == `\.`):
		return append(line, text...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(text, `"`, `""`)...)
	return append(line, '"')
}
