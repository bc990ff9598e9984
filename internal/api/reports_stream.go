package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// artifactReader is an artifact as http.ServeContent reads it: opened anew where the first read is elsewhere.
type artifactReader struct {
	open     func(offset int64) (io.ReadCloser, error)
	size, at int64
	opened   io.ReadCloser
	from     int64 // where opened stands
	err      error // of opening or reading, which http.ServeContent keeps to itself
}

// Seek implements io.Seeker.
func (r *artifactReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		r.at = offset
	case io.SeekCurrent:
		r.at += offset
	case io.SeekEnd:
		r.at = r.size + offset
	}
	return r.at, nil
}

// Read implements io.Reader.
func (r *artifactReader) Read(p []byte) (n int, err error) {
	if r.err == nil && (r.opened == nil || r.from != r.at) {
		r.close()
		r.opened, r.err = r.open(r.at)
		r.from = r.at
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err = r.opened.Read(p)
	r.at += int64(n)
	r.from = r.at
	switch {
	case errors.Is(err, io.EOF) && r.at < r.size:
		r.err = fmt.Errorf("the artifact ends after %d of %d bytes: %w", r.at, r.size, io.ErrUnexpectedEOF)
		return n, r.err
	case err != nil && !errors.Is(err, io.EOF):
		r.err = err
	}
	return n, err
}

func (r *artifactReader) close() {
	if r.opened != nil {
		_ = r.opened.Close() // it was only read
		r.opened = nil
	}
}

// downloadWriter holds the status back until there is something to send, and gives each piece its own time:
// a download may take hours, but not stand still.
type downloadWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	stalled *time.Timer
	status  int
	sent    bool
	err     error // of writing, which http.ServeContent keeps to itself
}

// WriteHeader keeps the status for flush.
func (w *downloadWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write sends a piece. The text of a refusal is dropped: send answers a problem instead.
func (w *downloadWriter) Write(piece []byte) (n int, err error) {
	if w.status >= http.StatusBadRequest {
		return len(piece), nil
	}
	w.stalled.Reset(w.limit)
	if err = w.control.SetWriteDeadline(time.Now().Add(w.limit)); err == nil {
		w.flush()
		n, err = w.ResponseWriter.Write(piece)
	}
	w.err = err
	return n, err
}

// flush sends the status.
func (w *downloadWriter) flush() {
	if !w.sent {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}
