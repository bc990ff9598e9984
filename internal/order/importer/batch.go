package importer

import (
	"context"
	"errors"
	"io"
)

// batch is what one transaction stores: complete documents, and the rows rejected on the way to them.
type batch struct {
	documents []*document
	rejects   []rejectedRow
	lines     int   // data lines among documents and rejects
	bytes     int64 // of the file read by then
}

// batcher fills batches and sends the full ones on.
type batcher struct {
	batch
	documentLimit int
	src           *source
	out           chan<- batch
}

// readBatches sends the file's documents to out, in batches that end only at complete documents.
func readBatches(ctx context.Context, rows *rowReader, opts Options, out chan<- batch) error {
	b := &batcher{documentLimit: opts.Batch, src: rows.src, out: out}
	g := newGrouper(opts)
	for {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		rejects, err := g.add(r)
		if err != nil {
			return err
		}
		if err := b.add(ctx, g.complete(), rejects); err != nil {
			return err
		}
	}
	for _, d := range g.rest() {
		if err := b.add(ctx, []*document{d}, nil); err != nil {
			return err
		}
	}
	return b.send(ctx)
}

func (b *batcher) add(ctx context.Context, documents []*document, rejects []rejectedRow) error {
	b.documents = append(b.documents, documents...)
	b.rejects = append(b.rejects, rejects...)
	b.lines += len(rejects)
	for _, d := range documents {
		b.lines += len(d.rows)
	}
	if len(b.documents) < b.documentLimit && b.lines < batchLines {
		return nil
	}
	return b.send(ctx)
}

func (b *batcher) send(ctx context.Context) error {
	b.bytes = b.src.read.Load()
	select {
	case b.out <- b.batch:
		b.batch = batch{}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
