package report

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
	"backoffice/internal/store"
)

const partsSQL = `
select /* report.Open */ part.location, part.bytes
  from artifact_parts part
  join artifacts artifact on artifact.report_id = part.report_id
 where part.report_id = $1
   and artifact.deleting_at is null
 order by part.part_no`

// Open answers an artifact's bytes from offset on, and its manifest. ErrNotFound: no such report; ErrNotReady,
// ErrFailed, ErrExpired: it has no artifact yet, never gets one, or has none any more; store.ErrNoStore: it lies
// in a store that was not named. An offset beyond the end reads nothing. The caller closes the reader, which
// opens part after part as it is read, and may check the whole against the manifest's SHA256.
func Open(ctx context.Context, db postgres.DB, stores *store.Stores, id, offset int64) (io.ReadCloser, Manifest, error) {
	found, err := Get(ctx, db, id)
	if err != nil {
		return nil, Manifest{}, err
	}
	if err := found.readable(); err != nil {
		return nil, Manifest{}, err
	}
	rows, err := db.Query(ctx, partsSQL, id)
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("open report %d: %w", id, err)
	}
	parts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[storedPart])
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("open report %d: %w", id, err)
	}
	if len(parts) != found.Artifact.Parts {
		return nil, Manifest{}, expired(id) // between the two statements
	}
	r := &partsReader{ctx: ctx, stores: stores, id: id, parts: parts, skip: max(offset, 0)}
	if err := r.next(); err != nil && !errors.Is(err, io.EOF) { // so that a part that is not there is said before the first byte
		return nil, Manifest{}, err
	}
	return r, *found.Artifact, nil
}

// readable answers nil if the report has an artifact, else why not.
func (r Report) readable() error {
	switch {
	case r.Status == StatusFailed:
		return say(ErrFailed, "report %d failed: %s; ask for it again", r.ID, r.Error)
	case r.Status == StatusCancelled:
		return say(ErrFailed, "report %d was cancelled; ask for it again", r.ID)
	case r.Status != StatusCompleted:
		return say(ErrNotReady, "report %d is %s; ask again later", r.ID, r.Status)
	case r.Artifact == nil:
		return expired(r.ID)
	}
	return nil
}

func expired(id int64) error {
	return say(ErrExpired, "the artifact of report %d has been deleted after its retention; ask for it again", id)
}

// storedPart is where a part lies.
type storedPart struct {
	Location string
	Bytes    int64
}

// partsReader reads parts one after the other.
type partsReader struct {
	ctx    context.Context //nolint:containedctx // of the reading: io.Reader has no place for it
	stores *store.Stores
	id     int64
	parts  []storedPart // not open yet
	skip   int64        // bytes of them that are not wanted
	open   io.ReadCloser
	left   int64 // bytes of the open one
}

// next opens the next part that has bytes to read, or answers io.EOF.
func (r *partsReader) next() error {
	for len(r.parts) > 0 {
		part := r.parts[0]
		r.parts = r.parts[1:]
		if r.skip >= part.Bytes {
			r.skip -= part.Bytes
			continue
		}
		var err error
		if r.open, err = r.stores.Open(r.ctx, part.Location, r.skip); err != nil {
			return fmt.Errorf("read report %d: %w", r.id, err)
		}
		r.left, r.skip = part.Bytes-r.skip, 0
		return nil
	}
	return io.EOF
}

// Read reads on; a part that is shorter than it should be is io.ErrUnexpectedEOF, a longer one an error.
func (r *partsReader) Read(b []byte) (int, error) {
	for {
		if r.open == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.open.Read(b)
		r.left -= int64(n)
		switch {
		case r.left < 0:
			return 0, fmt.Errorf("read report %d: a part is longer than it was", r.id)
		case errors.Is(err, io.EOF) && r.left > 0:
			return n, fmt.Errorf("read report %d: a part is shorter than it was: %w", r.id, io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF):
			err = r.open.Close()
			r.open = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes what is open.
func (r *partsReader) Close() error {
	r.parts = nil
	if r.open == nil {
		return nil
	}
	open := r.open
	r.open = nil
	return open.Close()
}
