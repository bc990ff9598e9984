package render

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// sheetZip is the zip that excelize writes a workbook into, for two reasons: excelize's own way holds
// the whole file in memory, and it hands over the sheets in an order that changes from run to run. The
// parts are kept, compressed, in one temporary file until they can be put in order.
type sheetZip struct {
	to    io.Writer
	held  *os.File
	parts []*zipPart
	open  *zipPart // the one being written, nil for none
}

// zipPart is one file inside.
type zipPart struct {
	header zip.FileHeader
	start  int64 // where its bytes begin in the temporary file
	zip    *sheetZip
	flate  *flate.Writer
}

func newSheetZip(to io.Writer, folder string) (*sheetZip, error) {
	held, err := os.CreateTemp(folder, "parts-")
	if err != nil {
		return nil, fmt.Errorf("make a file for the sheets: %w", err)
	}
	return &sheetZip{to: to, held: held}, nil
}

// Create implements excelize.ZipWriter: the part before is complete.
func (z *sheetZip) Create(name string) (io.Writer, error) {
	if err := z.end(); err != nil {
		return nil, err
	}
	start, err := z.held.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	part := &zipPart{header: zip.FileHeader{Name: name, Method: zip.Deflate}, start: start, zip: z}
	if part.flate, err = flate.NewWriter(z.held, flate.DefaultCompression); err != nil {
		return nil, err
	}
	z.open = part
	return part, nil
}

// Write implements io.Writer.
func (p *zipPart) Write(b []byte) (int, error) {
	if p.zip.open != p {
		return 0, fmt.Errorf("write to %s, which is complete", p.header.Name)
	}
	n, err := p.flate.Write(b)
	p.header.CRC32 = crc32.Update(p.header.CRC32, crc32.IEEETable, b[:n])
	p.header.UncompressedSize64 += uint64(n)
	return n, err
}

// end completes the open part.
func (z *sheetZip) end() error {
	if z.open == nil {
		return nil
	}
	part := z.open
	z.open = nil
	if err := part.flate.Close(); err != nil {
		return err
	}
	end, err := z.held.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	part.header.CompressedSize64 = uint64(end - part.start)
	z.parts = append(z.parts, part)
	return nil
}

// AddFS implements excelize.ZipWriter, which has no need of it here.
func (z *sheetZip) AddFS(fs.FS) error { return errors.ErrUnsupported }

// Close implements excelize.ZipWriter: it writes the parts in the order of their names.
func (z *sheetZip) Close() error {
	if err := z.end(); err != nil {
		return err
	}
	slices.SortFunc(z.parts, func(a, b *zipPart) int { return strings.Compare(a.header.Name, b.header.Name) })
	out := zip.NewWriter(z.to)
	for _, part := range z.parts {
		to, err := out.CreateRaw(&part.header)
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, io.NewSectionReader(z.held, part.start, int64(part.header.CompressedSize64))); err != nil {
			return err
		}
	}
	return out.Close()
}
