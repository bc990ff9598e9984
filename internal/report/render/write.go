package render

import (
	"errors"
	"io"
)

// Write writes the document in a format and answers how many rows its sections had, those not shown
// included. An error names section, row and column; what was written to w until then is worthless.
// The memory it takes does not grow with the rows, except for pdf.
func Write(w io.Writer, format Format, doc *Document) (rows int64, err error) {
	return 0, errors.ErrUnsupported
}
