package render

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xuri/excelize/v2"
)

// workbook is one xlsx file being written.
type workbook struct {
	file      *excelize.File
	styles    sheetStyles
	names     sheetNames
	made      int   // sheets so far
	sheetRows int64 // the most rows one sheet holds, its header among them
}

// writeXLSX writes a sheet per section, and one before them with the title and the facts when there are
// several sections. The rows wait in a temporary folder, not in memory, until the file is put together.
func writeXLSX(w io.Writer, doc *Document) (int64, error) {
	return writeSheets(w, doc, excelize.TotalRows)
}

// writeSheets goes on in a new sheet after sheetRows rows.
func writeSheets(w io.Writer, doc *Document, sheetRows int64) (rows int64, err error) {
	folder, err := newSheetFolder()
	if err != nil {
		return 0, err
	}
	book := workbook{file: excelize.NewFile(excelize.Options{TmpDir: folder.path}), names: sheetNames{}, sheetRows: sheetRows}
	defer func() { err = errors.Join(err, book.file.Close(), folder.close()) }()
	if err := book.begin(doc); err != nil {
		return 0, err
	}
	for i := range doc.Sections {
		read, err := book.section(&doc.Sections[i])
		if rows += read; err != nil {
			return rows, err
		}
	}
	return rows, book.write(w, folder.path)
}

// write puts the sheets together.
func (b *workbook) write(w io.Writer, folder string) (err error) {
	parts, err := newSheetZip(w, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.held.Close()) }()
	b.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return parts })
	if err := b.file.Write(io.Discard); err != nil { // what it would write is empty: the parts write themselves
		return fmt.Errorf("put the sheets together: %w", err)
	}
	return nil
}

// begin sets what concerns the whole file.
func (b *workbook) begin(doc *Document) error {
	made := doc.Made.UTC().Format(time.RFC3339)
	if err := b.file.SetDocProps(&excelize.DocProperties{Title: doc.Title, Creator: "Backoffice", LastModifiedBy: "Backoffice", Created: made, Modified: made}); err != nil {
		return fmt.Errorf("set the properties: %w", err)
	}
	if err := b.makeStyles(); err != nil {
		return err
	}
	if len(doc.Sections) > 1 {
		return b.about(doc)
	}
	return nil
}

// newSheet opens the next sheet under a name as close to the wanted one as sheets can have.
func (b *workbook) newSheet(wanted string) (string, *excelize.StreamWriter, error) {
	name := b.names.take(wanted)
	err := error(nil)
	if b.made == 0 {
		err = b.file.SetSheetName("Sheet1", name) // the one a new file has
	} else {
		_, err = b.file.NewSheet(name)
	}
	if err != nil {
		return "", nil, fmt.Errorf("add sheet %q: %w", name, err)
	}
	b.made++
	stream, err := b.file.NewStreamWriter(name)
	if err != nil {
		return "", nil, fmt.Errorf("open sheet %q: %w", name, err)
	}
	return name, stream, nil
}

// about writes the sheet that says what the others hold.
func (b *workbook) about(doc *Document) error {
	name, out, err := b.newSheet("About")
	if err != nil {
		return err
	}
	if err := errors.Join(out.SetColWidth(1, 1, 24), out.SetColWidth(2, 2, 60)); err != nil {
		return fmt.Errorf("sheet %q: %w", name, err)
	}
	lines := [][]any{{excelize.Cell{StyleID: b.styles.title, Value: doc.Title}}, nil}
	fact := func(name, value string) {
		lines = append(lines, []any{excelize.Cell{StyleID: b.styles.label, Value: name}, excelize.Cell{StyleID: b.styles.wrapped, Value: value}})
	}
	for _, f := range doc.Facts {
		fact(f.Name, f.Value)
	}
	fact("Data of", doc.Made.UTC().Format(time.DateTime)+" UTC")
	for _, s := range doc.Sections {
		if s.Note != "" {
			fact(s.title(), s.Note)
		}
	}
	for i, line := range lines {
		if err := out.SetRow(fmt.Sprintf("A%d", i+1), line); err != nil {
			return fmt.Errorf("sheet %q: %w", name, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("sheet %q: %w", name, err)
	}
	return nil
}
