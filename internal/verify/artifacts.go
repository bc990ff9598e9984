package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/store"
)

// ArtifactCheck is the rule that Artifacts checks. It is no statement of SQL: the bytes lie in stores.
var ArtifactCheck = Check{
	Name: "artifact_bytes",
	What: "the bytes of every artifact that can be read are those of its manifest, part by part and in all: how many, in how many rows of csv and jsonl, and their checksums",
	Of:   "artifact",
}

const (
	artifactsSQL = `
select /* verify.Artifacts */ a.report_id, r.format, a.rows, a.bytes, a.sha256
  from artifacts a
  join reports r on r.id = a.report_id
 where a.report_id > $1
   and a.deleting_at is null
 order by a.report_id
 limit 100`
	artifactPartsSQL = `
select /* verify.Artifacts */ part_no, location, bytes, sha256
  from artifact_parts
 where report_id = $1
 order by part_no`
	stillThereSQL = `
select /* verify.Artifacts */ exists (
         select
           from artifacts
          where report_id = $1
            and deleting_at is null)`
)

// artifact is a manifest, and what is left to look at of it.
type artifact struct {
	ReportID int64
	Format   string
	Rows     int64
	Bytes    int64
	SHA256   []byte
}

type artifactPart struct {
	No       int
	Location string
	Bytes    int64
	SHA256   []byte
}

// Artifacts reads every artifact and compares it with its manifest. It holds no snapshot, takes as long as
// reading all of them takes, and constant memory; read, which may be nil, is told the bytes as they are read.
// What cleanup deletes meanwhile is passed over.
func Artifacts(ctx context.Context, pool *pgxpool.Pool, stores *store.Stores, read func(bytes int64)) (Result, error) {
	started := time.Now()
	result := Result{Check: ArtifactCheck}
	if read == nil {
		read = func(int64) {}
	}
	for after := int64(0); ; {
		page, err := query(ctx, pool, pgx.RowToStructByPos[artifact], artifactsSQL, after)
		if err != nil || len(page) == 0 {
			result.Took = time.Since(started)
			return result, err
		}
		for _, a := range page {
			after = a.ReportID
			wrong, err := a.check(ctx, pool, stores, read)
			if err != nil {
				return result, fmt.Errorf("verify: artifact of report %d: %w", a.ReportID, err)
			}
			result.LookedAt++
			if wrong == "" {
				continue
			}
			result.Offenders++
			if len(result.Shown) < MostShown {
				result.Shown = append(result.Shown, Offender{Key: fmt.Sprintf("of report %d", a.ReportID), Wrong: wrong})
			}
		}
	}
}

// check answers what is wrong with an artifact, "" if nothing is.
func (a artifact) check(ctx context.Context, pool *pgxpool.Pool, stores *store.Stores, read func(int64)) (wrong string, err error) {
	parts, err := query(ctx, pool, pgx.RowToStructByPos[artifactPart], artifactPartsSQL, a.ReportID)
	if err != nil {
		return "", err
	}
	wrong = a.compare(ctx, stores, parts, read)
	if wrong == "" || ctx.Err() != nil {
		return "", ctx.Err()
	}
	var there bool
	if err := pool.QueryRow(ctx, stillThereSQL, a.ReportID).Scan(&there); err != nil || !there {
		return "", err
	}
	return wrong, nil
}

// compare reads all parts and answers what differs from the manifest.
func (a artifact) compare(ctx context.Context, stores *store.Stores, parts []artifactPart, read func(int64)) string {
	whole, rows := sha256.New(), newRowCounter(a.Format)
	var size int64
	for _, part := range parts {
		own := sha256.New()
		n, err := copyObject(ctx, stores, part.Location, io.MultiWriter(own, whole, rows, progressWriter(read)))
		size += n
		switch {
		case err != nil:
			return fmt.Sprintf("has part %d, which cannot be read: %v", part.No, err)
		case n != part.Bytes:
			return fmt.Sprintf("has part %d of %d bytes, but %d are recorded", part.No, n, part.Bytes)
		case !bytes.Equal(own.Sum(nil), part.SHA256):
			return fmt.Sprintf("has part %d whose bytes are not those that were written", part.No)
		}
	}
	switch {
	case size != a.Bytes:
		return fmt.Sprintf("has %d bytes, but its manifest says %d", size, a.Bytes)
	case !sum(whole, a.SHA256):
		return "has all its parts, but together they have not the checksum of the manifest"
	case rows.counts() && rows.rows() != a.Rows:
		return fmt.Sprintf("has %d rows, but its manifest says %d", rows.rows(), a.Rows)
	}
	return ""
}

func sum(of hash.Hash, want []byte) bool { return bytes.Equal(of.Sum(nil), want) }

func copyObject(ctx context.Context, stores *store.Stores, location string, to io.Writer) (int64, error) {
	from, err := stores.Open(ctx, location, 0)
	if err != nil {
		return 0, err
	}
	defer from.Close() //nolint:errcheck // it was only read
	return io.Copy(to, from)
}

// progressWriter tells how many bytes were written.
type progressWriter func(bytes int64)

func (p progressWriter) Write(b []byte) (int, error) {
	p(int64(len(b)))
	return len(b), nil
}

// rowCounter counts the rows of csv and jsonl: lines that do not end within quotes.
type rowCounter struct {
	format string
	quoted bool
	lines  int64
}

func newRowCounter(format string) *rowCounter { return &rowCounter{format: format} }

func (c *rowCounter) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		at := bytes.IndexAny(rest, "\"\n")
		if at < 0 {
			break
		}
		switch {
		case rest[at] == '"':
			c.quoted = !c.quoted
		case !c.quoted || c.format != "csv":
			c.lines++
		}
		rest = rest[at+1:]
	}
	return len(b), nil
}

// counts reports whether the format's rows can be counted so.
func (c *rowCounter) counts() bool { return c.format == "csv" || c.format == "jsonl" }

// rows are the lines without a csv's header.
func (c *rowCounter) rows() int64 {
	if c.format == "csv" {
		return c.lines - 1
	}
	return c.lines
}

func query[T any](ctx context.Context, pool *pgxpool.Pool, row pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	found, err := pgx.CollectRows(rows, row)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return found, nil
}
