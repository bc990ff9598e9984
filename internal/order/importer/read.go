package importer

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// rowReader reads the file row by row.
type rowReader struct {
	src    *source
	csv    *csv.Reader
	parser rowParser
	header []string
}

// newRowReader reads the header and finds the columns.
func newRowReader(src *source, opts Options) (*rowReader, error) {
	r := &rowReader{src: src, csv: csv.NewReader(src.text)}
	r.csv.ReuseRecord = true
	r.csv.FieldsPerRecord = -1 // a row of another width is a reject, not the end
	fields, err := r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty; its first line must name the columns", src.path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.path, r.explain(err))
	}
	for _, name := range fields {
		r.header = append(r.header, strings.TrimSpace(name))
	}
	columns, err := newLayout(src.path, r.header, opts.Columns)
	if err != nil {
		return nil, err
	}
	r.parser = rowParser{layout: columns, columns: len(r.header), zone: opts.Timezone, now: opts.Now()}
	return r, nil
}

// next answers the next row, malformed or not, and io.EOF after the last.
func (r *rowReader) next() (row, error) {
	r.src.beginRow()
	fields, err := r.csv.Read()
	if err == nil {
		if len(fields) != len(r.header) && slices.ContainsFunc(fields, severalLines) {
			return row{}, fmt.Errorf("line %d: the row runs over several lines and has %d fields, the header %d; is a quote left open in it? Correct the file and import it again", r.line(), len(fields), len(r.header))
		}
		return r.parser.parse(r.line(), slices.Clone(fields)), nil
	}
	var syntax *csv.ParseError
	if !errors.As(err, &syntax) || !isSyntax(syntax.Err) || syntax.StartLine != syntax.Line {
		return row{}, r.explain(err)
	}
	// What was read before the error mostly holds the number, so that the document is known.
	malformed := r.parser.parse(syntax.StartLine, slices.Clone(fields))
	malformed.reason = fmt.Sprintf("the row is not valid csv at character %d: %v", syntax.Column, syntax.Err)
	return malformed, nil
}

func severalLines(field string) bool { return strings.Contains(field, "\n") }

func isSyntax(err error) bool {
	return errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote)
}

// explain makes one sentence of what ends the reading. A field whose quotes go wrong over several
// lines ends it too: the lines in between are rows of which nobody knows the order they belong to,
// so that going on would place incomplete orders.
func (r *rowReader) explain(err error) error {
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	case errors.As(err, &syntax) && isSyntax(syntax.Err):
		return fmt.Errorf("line %d: a field is opened by a quote that is not closed properly up to line %d; correct the file and import it again", syntax.StartLine, syntax.Line)
	case errors.Is(err, errRowTooLong):
		return fmt.Errorf("line %d: %w", r.line(), errRowTooLong)
	}
	return explainDamage(err)
}

// line is where the row that was read last began, or is being read.
func (r *rowReader) line() int {
	line, _ := r.csv.FieldPos(0)
	return line
}
