package importer

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/postgres"
	"backoffice/jobs"
)

// batchesAtOnce is how many batches are stored at the same time, each on a connection of its own. Two
// keep two cores of Postgres busy while the next batch is read; a third would mostly wait.
const batchesAtOnce = 2

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

	analysis *errgroup.Group // nil until the first commit; analyzes meanwhile
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

// writeAll stores the batches, several at once, and takes what became of them in the order of the file.
func (w *writer) writeAll(ctx context.Context, batches <-chan batch) error {
	var open []*storing // oldest first
	var err error
	for b := range batches {
		if len(open) == batchesAtOnce {
			oldest := open[0]
			open = open[1:]
			if err = w.settle(ctx, oldest); err != nil {
				break
			}
		}
		var s *storing
		if s, err = w.begin(ctx, b); err != nil {
			break
		}
		open = append(open, s)
	}
	for _, s := range open { // after an error too: what they commit is counted
		err = cmp.Or(err, w.settle(ctx, s))
	}
	if w.analysis != nil {
		err = cmp.Or(err, w.analysis.Wait())
	}
	return err
}

// storing is a batch on its way into the tables.
type storing struct {
	batch
	out  outcome
	err  error
	done chan struct{} // closed when out and err are there
}

// begin takes out what comes too late and has the rest stored.
func (w *writer) begin(ctx context.Context, b batch) (*storing, error) {
	late, documents, err := w.closed.add(ctx, b.documents)
	if err != nil {
		return nil, err
	}
	for _, d := range late {
		b.rejects = append(b.rejects, d.rejectAll(fmt.Sprintf("the row comes too late: the order was complete after %d lines without a row of it; sort the file by number, or raise --group-window", w.opts.GroupWindow))...)
	}
	if err := w.furnish(ctx, documents); err != nil {
		return nil, err
	}
	s := &storing{batch: b, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.out, s.err = w.store(ctx, documents)
	}()
	return s, nil
}

// settle waits for a batch and counts it. Its rejects are written once it is committed, never for a
// batch rolled back.
func (w *writer) settle(ctx context.Context, s *storing) error {
	<-s.done
	if s.err != nil {
		return s.err
	}
	w.done.add(s.out.counts)
	// Early as well as at the end: workers that run meanwhile plan by these statistics.
	if w.analysis == nil && w.done.DocumentsNew > 0 {
		w.analysis = &errgroup.Group{}
		w.analysis.Go(func() error { return analyze(ctx, w.pool) })
	}
	if err := w.rejects.write(append(s.rejects, s.out.rejects...)); err != nil {
		return err
	}
	if w.opts.Progress != nil {
		w.opts.Progress(Progress{Lines: w.result().LinesRead, Bytes: s.bytes, TotalBytes: w.bytes, Elapsed: time.Since(w.began)})
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
