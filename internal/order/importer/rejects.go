package importer

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// rejectedRow is a row that is not imported, with what the rejects file needs of it.
type rejectedRow struct {
	line           int
	number, reason string
	fields         []string
}

// rejectColumns stand before the columns of the file.
var rejectColumns = []string{"line", "number", "reason"}

// IsRejects says whether a text begins as what an import writes to Options.Rejects.
func IsRejects(text io.Reader) bool {
	header, err := csv.NewReader(io.LimitReader(text, maxRowBytes)).Read()
	return err == nil && len(header) > len(rejectColumns) && slices.Equal(header[:len(rejectColumns)], rejectColumns)
}

// rejectWriter counts rejects and writes them as csv: line, number, reason, then the row as it stood.
type rejectWriter struct {
	csv   *csv.Writer // nil: nobody wants them
	count int
	first []Reject
}

// newRejectWriter writes the header.
func newRejectWriter(out io.Writer, header []string) (*rejectWriter, error) {
	w := &rejectWriter{}
	if out == nil {
		return w, nil
	}
	w.csv = csv.NewWriter(out)
	w.csv.Write(slices.Concat(rejectColumns, header))
	return w, w.flush()
}

// write takes the rejects of one batch, and has them on their way before the next begins.
func (w *rejectWriter) write(rejects []rejectedRow) error {
	slices.SortFunc(rejects, func(a, b rejectedRow) int { return cmp.Compare(a.line, b.line) })
	w.count += len(rejects)
	for _, r := range rejects {
		if len(w.first) < firstRejects {
			w.first = append(w.first, Reject{Line: r.line, Number: r.number, Reason: r.reason})
		}
		if w.csv != nil {
			w.csv.Write(append([]string{strconv.Itoa(r.line), r.number, r.reason}, r.fields...))
		}
	}
	return w.flush()
}

// flush reports what any write before it met.
func (w *rejectWriter) flush() error {
	if w.csv == nil {
		return nil
	}
	w.csv.Flush()
	if err := w.csv.Error(); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}
