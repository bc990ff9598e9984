package importer

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// writer stores batches, one transaction each, and counts what became of their rows.
type writer struct {
	pool    *pgxpool.Pool
	jobs    jobs.Enqueuer
	opts    Options
	closed  *closedNumbers
	rejects *rejectWriter
	done    Result
	began   time.Time
	bytes   int64 // of the whole file, for Progress
}

func newWriter(ctx context.Context, pool *pgxpool.Pool, enq jobs.Enqueuer, rows *rowReader, opts Options) (*writer, error) {
	rejects, err := newRejectWriter(opts.Rejects, rows.header)
	if err != nil {
		return nil, err
	}
	closed, err := newClosedNumbers(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &writer{pool: pool, jobs: enq, opts: opts, closed: closed, rejects: rejects, began: time.Now(), bytes: rows.src.size}, nil
}

func (w *writer) close() { w.closed.close() }

// result counts what was committed so far.
func (w *writer) result() Result {
	r := w.done
	r.RejectedLines, r.FirstRejects = w.rejects.count, w.rejects.first
	r.LinesRead = r.OrderLines + r.CreditLines + r.AdjustmentLines + r.RejectedLines
	return r
}

func (w *writer) writeAll(ctx context.Context, batches <-chan batch) error {
	analyzed := false
	for b := range batches {
		if err := w.write(ctx, b); err != nil {
			return err
		}
		// Early as well as at the end: workers that run meanwhile plan by these statistics.
		if !analyzed && w.done.DocumentsNew > 0 {
			if err := analyze(ctx, w.pool); err != nil {
				return err
			}
			analyzed = true
		}
	}
	return nil
}

// write stores one batch. Its rejects are written once it is committed, never for a batch rolled back.
func (w *writer) write(ctx context.Context, b batch) error {
	late, documents, err := w.closed.add(ctx, b.documents)
	if err != nil {
		return err
	}
	rejects := b.rejects
	for _, d := range late {
		rejects = append(rejects, d.rejectAll(fmt.Sprintf("the row comes too late: the order was complete after %d lines without a row of it; sort the file by number, or raise --group-window", w.opts.GroupWindow))...)
	}
	stored, err := w.store(ctx, documents)
	if err != nil {
		return err
	}
	w.done.add(stored.counts)
	if err := w.rejects.write(append(rejects, stored.rejects...)); err != nil {
		return err
	}
	if w.opts.Progress != nil {
		w.opts.Progress(Progress{Lines: w.result().LinesRead, Bytes: b.bytes, TotalBytes: w.bytes, Elapsed: time.Since(w.began)})
	}
	return nil
}

// outcome is what became of a batch's documents.
type outcome struct {
	counts  Result
	rejects []rejectedRow
}

// store writes the documents that are new and compares the others with what is stored.
func (w *writer) store(ctx context.Context, documents []*document) (outcome, error) {
	var out outcome
	if len(documents) == 0 {
		return out, nil
	}
	err := postgres.InTx(ctx, w.pool, func(tx pgx.Tx) error {
		out = outcome{} // the transaction may be tried again
		return w.storeIn(ctx, tx, documents, &out)
	})
	if err != nil {
		return outcome{}, fmt.Errorf("store orders %q to %q: %w", documents[0].number, documents[len(documents)-1].number, err)
	}
	return out, nil
}

// storeIn goes round again for the numbers that another import took between the look and the insert:
// its rows are committed by then, and are found by the next look.
func (w *writer) storeIn(ctx context.Context, tx pgx.Tx, open []*document, out *outcome) error {
	for len(open) > 0 {
		stored, err := findStored(ctx, tx, open, w.opts.Currency)
		if err != nil {
			return err
		}
		var fresh []*document
		for _, d := range open {
			if s, ok := stored[d.number]; ok {
				out.compare(s, d)
			} else {
				fresh = append(fresh, d)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		ids, err := w.insert(ctx, tx, fresh)
		if err != nil {
			return err
		}
		open = out.inserted(fresh, ids)
	}
	return nil
}

// inserted counts the documents that have an id now and answers the others.
func (o *outcome) inserted(fresh []*document, ids map[string]int64) (taken []*document) {
	for _, d := range fresh {
		if _, ok := ids[d.number]; !ok {
			taken = append(taken, d)
			continue
		}
		o.counts.accept(d.kind, d.rows)
		o.counts.DocumentsNew++
		o.counts.LinesNew += len(d.rows)
	}
	return taken
}
