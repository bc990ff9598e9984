package report

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/jackc/pgx/v5"
)

// output is what has been written of an artifact.
type output struct {
	watermark int64
	after     int64     // of an export: all rows are those of transitions after this one
	upto      int64     // and up to this one
	lastID    int64     // up to which id of the driver the parts reach
	parts     int       // begun; the number of the last one
	rows      int64     // in all parts
	bytes     int64     // in all parts
	whole     hash.Hash // over all parts, one after the other
	open      []part    // written and not recorded yet
}

// part is one piece of an artifact.
type part struct {
	no       int
	location string
	rows     *int64 // nil: the format does not break between rows
	bytes    int64
	sum      []byte
	state    []byte // of output.whole after it
	lastID   int64

	// Of the whole output, up to and with this part.
	allRows, allBytes int64
}

const registerSQL = `
insert /* report.register */ into temp_files (location)
values ($1)`

// partWriter writes one part into the store. Close, or abandon, must be called.
type partWriter struct {
	part
	output *output
	own    hash.Hash // over this part
	pipe   *io.PipeWriter
	buffer *bufio.Writer
	stored chan error // answers once the store has it all, or has failed
}

// partBuffer is how many bytes are hashed and handed on at once.
const partBuffer = 256 << 10

// newPart begins the next part. Its location is registered before anything is stored there, so that what a
// crash leaves can be found, and it is nobody else's: an attempt that is thought dead writes elsewhere.
func (r *run) newPart(ctx context.Context) (*partWriter, error) {
	r.output.parts++
	p := &partWriter{output: &r.output, own: sha256.New(), stored: make(chan error, 1)}
	p.no = r.output.parts
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails; see crypto/rand
	path := fmt.Sprintf("reports/%d/%d-%s", r.id, p.no, hex.EncodeToString(random[:]))
	p.location = r.Stores.Location(path)
	r.begun = append(r.begun, p.location)
	if _, err := r.Pool.Exec(ctx, registerSQL, p.location); err != nil {
		return nil, fmt.Errorf("register part %d of report %d: %w", p.no, r.id, err)
	}
	content, pipe := io.Pipe()
	p.pipe = pipe
	p.buffer = bufio.NewWriterSize(chunks{p}, partBuffer)
	go func() {
		_, _, err := r.Stores.Put(ctx, path, content)
		if err != nil {
			err = fmt.Errorf("store part %d of report %d: %w", p.no, r.id, err)
		}
		content.CloseWithError(err) // a store that gave up takes nothing more
		p.stored <- err
	}()
	return p, nil
}

// Write is buffered; an error may be that of an earlier call.
func (p *partWriter) Write(b []byte) (int, error) { return p.buffer.Write(b) }

// chunks hashes what the buffer hands on.
type chunks struct{ *partWriter }

func (c chunks) Write(b []byte) (int, error) {
	n, err := c.pipe.Write(b)
	c.own.Write(b[:n])
	c.output.whole.Write(b[:n])
	c.bytes += int64(n)
	c.output.bytes += int64(n)
	return n, err
}

// end ends the part's content; wait answers once it is stored. Another part may begin in between.
func (p *partWriter) end() error {
	if err := p.buffer.Flush(); err != nil {
		return err
	}
	state, err := p.output.whole.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return fmt.Errorf("keep the checksum: %w", err)
	}
	p.state, p.sum = state, p.own.Sum(nil)
	p.lastID, p.allRows, p.allBytes = p.output.lastID, p.output.rows, p.output.bytes
	return p.pipe.Close()
}

// wait answers once the part is stored, complete and synced.
func (p *partWriter) wait() error { return <-p.stored }

// abandon gives up the part, of which the store keeps nothing, and answers the cause. When it was the store
// that failed, that is the cause.
func (p *partWriter) abandon(cause error) error {
	p.pipe.CloseWithError(cause)
	if stored := p.wait(); stored != nil && !errors.Is(stored, cause) {
		return stored
	}
	return cause
}

const insertPartSQL = `
insert /* report.part */ into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id)
values ($1, $2, $3, $4, $5, $6, $7, $8)`

// insertParts records parts in their order.
func (r *run) insertParts(ctx context.Context, tx pgx.Tx, parts ...part) error {
	batch := &pgx.Batch{}
	for _, p := range parts {
		batch.Queue(insertPartSQL, r.id, p.no, p.location, p.rows, p.bytes, p.sum, p.state, p.lastID)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record parts of report %d: %w", r.id, err)
	}
	return nil
}
