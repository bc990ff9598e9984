package render

import (
	"errors"
	"fmt"
	"io"
)

// ErrFormat is what Write answers to a format it does not know.
var ErrFormat = errors.New("unknown format")

// Write writes the document in a format and answers how many rows its sections had, those not shown
// included. An error names section, row and column; what w received until then is worthless.
// The memory it takes does not grow with the rows, except for pdf.
func Write(w io.Writer, format Format, doc *Document) (rows int64, err error) {
	write, known := map[Format]func(io.Writer, *Document) (int64, error){
		FormatCSV: writeCSV, FormatJSONL: writeJSONL, FormatXLSX: writeXLSX, FormatPDF: writePDF, FormatHTML: writeHTML,
	}[format]
	if !known {
		return 0, fmt.Errorf("write report as %q: %w", format, ErrFormat)
	}
	if err := doc.check(format); err != nil {
		return 0, fmt.Errorf("write report as %s: %w", format, err)
	}
	if rows, err = write(w, doc); err != nil {
		return rows, fmt.Errorf("write report as %s: %w", format, err)
	}
	return rows, nil
}
