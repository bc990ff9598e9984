package importer

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// maxRowBytes bounds one row, so that a quote left open does not read the rest of the file into memory.
const maxRowBytes = 1 << 20

var errRowTooLong = fmt.Errorf("a row is longer than %d bytes; is a quote left open in it?", maxRowBytes)

// source is the opened file as text: decompressed, without a byte order mark.
type source struct {
	path string
	file *os.File
	size int64        // bytes on disk; 0: unknown
	read atomic.Int64 // bytes of the file read so far
	row  int          // bytes handed out since the current row began; see beginRow
	long bool         // a row took more than maxRowBytes
	raw  io.Reader    // the file, or what gunzip makes of it
	text *bufio.Reader
}

// openSource opens a plain or gzip file.
func openSource(path string) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{path: path, file: file}
	if err := s.begin(); err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

func (s *source) begin() error {
	stat, err := s.file.Stat()
	if err != nil {
		return err
	}
	if stat.IsDir() {
		return fmt.Errorf("%s is a directory; name a csv file", s.path)
	}
	if stat.Mode().IsRegular() {
		s.size = stat.Size()
	}
	packed := bufio.NewReaderSize(countingReader{s}, 1<<16)
	s.raw = packed
	if magic, _ := packed.Peek(2); string(magic) == "\x1f\x8b" {
		if s.raw, err = gzip.NewReader(packed); err != nil {
			return fmt.Errorf("%s: %w", s.path, explainDamage(err))
		}
	}
	s.text = bufio.NewReaderSize(rowLimit{s}, 1<<16)
	if mark, _ := s.text.Peek(3); string(mark) == "\xef\xbb\xbf" {
		s.text.Discard(len(mark))
	}
	return nil
}

func (s *source) close() { s.file.Close() }

// beginRow allows the next row its maxRowBytes.
func (s *source) beginRow() { s.row = 0 }

// explainDamage says in one sentence what a damaged file is. Any other error it hands back.
func explainDamage(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the file is cut off: its gzip stream ends too early; fetch it again and import that one")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &corrupt):
		return fmt.Errorf("the file is damaged gzip (%w); fetch it again and import that one", err)
	}
	return err
}

// countingReader reads the file and counts its bytes, for Progress.
type countingReader struct{ s *source }

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.s.file.Read(p)
	r.s.read.Add(int64(n))
	return n, err
}

// rowLimit hands out the text and fails once a single row has taken more than maxRowBytes.
type rowLimit struct{ s *source }

func (r rowLimit) Read(p []byte) (int, error) {
	r.s.long = r.s.long || r.s.row > maxRowBytes
	if r.s.long {
		return 0, errRowTooLong
	}
	n, err := r.s.raw.Read(p)
	r.s.row += n
	return n, err
}
