package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// chunkBytes is how much of an object one row holds: a statement each, short and of bounded memory.
const chunkBytes = 512 << 10

// postgresStore keeps objects in stored_objects and stored_chunks.
type postgresStore struct{ pool *pgxpool.Pool }

const insertObjectSQL = `
insert /* store.Put */ into stored_objects (path, bytes)
values ($1, 0)
    on conflict do nothing`

const insertChunkSQL = `
insert /* store.Put */ into stored_chunks (path, n, content)
values ($1, $2, $3)`

const sizeObjectSQL = `
update /* store.Put */ stored_objects
   set bytes = $2
 where path = $1`

// Put stores an object in a transaction of its own, which is open for as long as content takes: content
// is best at hand already. Two that put one path wait for each other, and the second gets ErrExists.
func (s *postgresStore) Put(ctx context.Context, path string, content io.Reader) (bytes int64, err error) {
	if err := CheckPath(path); err != nil {
		return 0, err
	}
	// Not postgres.InTx: content can be read once.
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		inserted, err := tx.Exec(ctx, insertObjectSQL, path)
		if err != nil {
			return err
		}
		if inserted.RowsAffected() == 0 {
			return ErrExists
		}
		if bytes, err = putChunks(ctx, tx, path, content); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sizeObjectSQL, path, bytes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("put object %q into postgres: %w", path, err)
	}
	return bytes, nil
}

func putChunks(ctx context.Context, tx pgx.Tx, path string, content io.Reader) (bytes int64, err error) {
	chunk := make([]byte, chunkBytes)
	for n := 0; ; n++ {
		length, err := io.ReadFull(content, chunk)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return bytes, fmt.Errorf("read content: %w", err)
		}
		if length > 0 {
			if _, err := tx.Exec(ctx, insertChunkSQL, path, n, chunk[:length]); err != nil {
				return bytes, err
			}
			bytes += int64(length)
		}
		if err != nil {
			return bytes, nil
		}
	}
}

// The length of a value that is stored uncompressed is known without reading it.
const findObjectSQL = `
select /* store.Open */ o.bytes, coalesce(octet_length(c.content), 1)
  from stored_objects o
  left join stored_chunks c on c.path = o.path and c.n = 0
 where o.path = $1`

func (s *postgresStore) Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	if err := errors.Join(CheckPath(path), checkOffset(path, offset)); err != nil {
		return nil, err
	}
	r := &chunkReader{ctx: ctx, db: s.pool, path: path, at: offset}
	err := s.pool.QueryRow(ctx, findObjectSQL, path).Scan(&r.end, &r.chunk)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open object %q in postgres: %w", path, err)
	}
	return r, nil
}

// chunkReader reads an object chunk by chunk, each in a statement of its own: no transaction and no
// snapshot waits for a slow reader.
type chunkReader struct {
	ctx   context.Context
	db    postgres.DB
	path  string
	at    int64  // the next byte to fetch
	end   int64  // the object's length
	chunk int64  // length of each chunk but the last
	left  []byte // fetched and not read yet
}

const readChunkSQL = `
select /* store.Read */ substring(content from $3)
  from stored_chunks
 where path = $1
   and n = $2`

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.left) == 0 {
		if r.at >= r.end {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, fmt.Errorf("read object %q at byte %d: %w", r.path, r.at, err)
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *chunkReader) fetch() error {
	err := r.db.QueryRow(r.ctx, readChunkSQL, r.path, r.at/r.chunk, r.at%r.chunk+1).Scan(&r.left)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%w: it was deleted meanwhile", ErrNotFound)
	case err != nil:
		return err
	case len(r.left) == 0:
		return fmt.Errorf("%w: a part of it is missing", io.ErrUnexpectedEOF)
	}
	r.at += int64(len(r.left))
	return nil
}

// Close forgets what was fetched; nothing is left to read.
func (r *chunkReader) Close() error {
	r.left, r.at, r.end = nil, 0, 0
	return nil
}

const deleteObjectSQL = `
delete /* store.Delete */ from stored_objects
 where path = $1`

func (s *postgresStore) Delete(ctx context.Context, path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, deleteObjectSQL, path); err != nil { // its chunks go with it
		return fmt.Errorf("delete object %q in postgres: %w", path, err)
	}
	return nil
}

const deleteObjectsSQL = `
delete /* store.DeleteIn */ from stored_objects
 where path = any($1)`

// DeleteIn queues what removes objects of the store postgres: together with whatever else a transaction does,
// which no other store can. What is not there is no error.
func DeleteIn(batch *pgx.Batch, paths []string) { batch.Queue(deleteObjectsSQL, paths) }

const listObjectsSQL = `
select /* store.List */ path, bytes, created_at
  from stored_objects
 where path > $1
 order by path
 limit $2`

func (s *postgresStore) List(ctx context.Context, after string, limit int) ([]Object, error) {
	rows, err := s.pool.Query(ctx, listObjectsSQL, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list objects in postgres: %w", err)
	}
	objects, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Object])
	if err != nil {
		return nil, fmt.Errorf("list objects in postgres: %w", err)
	}
	return objects, nil
}
