// Package importer reads a file of orders (csv, plain or gzip) and places them: rows become documents,
// documents become orders with their lines and jobs, a batch of them in each transaction, two of these
// at a time. Every row of the file ends as a line of a stored order or as a reject with its line number
// and a reason, and importing the same file again changes nothing. What an order is, and what
// processing it does, lives in order; flags and terminal output live in cmd.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"backoffice/jobs"
)

// Defaults of Options, and the bounds of what is held in memory.
const (
	DefaultGroupWindow = 10_000
	DefaultBatch       = 1_000
	DefaultCurrency    = "GBP"

	batchLines   = 20_000  // lines after which a batch ends, however few documents it has
	minOpenLines = 200_000 // lines of unfinished documents that may be held at least
	firstRejects = 5       // how many rejects Result names
)

// Options say which file is imported and how its rows are read.
type Options struct {
	// Path names the file. Whether it is gzip is seen from its first bytes, not from its name.
	Path string
	// Columns name the file's column of each field; see ParseColumns.
	Columns map[string]string
	// CreditPrefix begins the numbers of credits ("C"); empty: the file has none.
	CreditPrefix string
	// Timezone is where the file's dates without a zone were written; nil: UTC.
	Timezone *time.Location
	// Currency of all orders, three capital letters; empty: DefaultCurrency.
	Currency string
	// OpeningStock is what every product not seen before begins with; nil: its stock is untracked.
	OpeningStock *int
	// GroupWindow is after how many lines without a further row a document is complete; 0: DefaultGroupWindow.
	GroupWindow int
	// Now is the clock by which a row is dated too far ahead; nil: time.Now.
	Now func() time.Time
	// Batch is the most documents one transaction stores; 0: DefaultBatch.
	Batch int
	// Rejects receives the rejected rows as csv, batch by batch; nil: they are only counted.
	Rejects io.Writer
	// Progress is told how far the import is, after each commit; nil: nobody is.
	Progress func(Progress)
}

// withDefaults fills in what is left out and refuses what no import could use.
func (o Options) withDefaults() (Options, error) {
	if o.Timezone == nil {
		o.Timezone = time.UTC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Currency == "" {
		o.Currency = DefaultCurrency
	}
	if o.GroupWindow == 0 {
		o.GroupWindow = DefaultGroupWindow
	}
	if o.Batch == 0 {
		o.Batch = DefaultBatch
	}
	switch {
	case !currencyCode.MatchString(o.Currency):
		return o, &UsageError{fmt.Sprintf("--currency %q is no currency code; give three capital letters, such as GBP", o.Currency)}
	case o.GroupWindow < 0:
		return o, &UsageError{fmt.Sprintf("--group-window %d is below 1; give a number of lines", o.GroupWindow)}
	case o.Batch < 0:
		return o, &UsageError{fmt.Sprintf("a batch of %d documents is below 1", o.Batch)}
	case o.OpeningStock != nil && (*o.OpeningStock < 0 || *o.OpeningStock > maxInt32):
		return o, &UsageError{fmt.Sprintf("--opening-stock %d is outside 0 to %d; give a quantity, or unlimited", *o.OpeningStock, maxInt32)}
	}
	return o, nil
}

// UsageError is an option that no import could use; its text names the flag, the value and the cure.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// Progress says how far an import is.
type Progress struct {
	Lines      int           // data lines stored or rejected so far
	Bytes      int64         // bytes of the file read so far, compressed ones when it is gzip
	TotalBytes int64         // size of the file; 0: unknown (a pipe)
	Elapsed    time.Duration // since the import began
}

// Rate is how many data lines were finished per second.
func (p Progress) Rate() float64 {
	if p.Elapsed <= 0 {
		return 0
	}
	return float64(p.Lines) / p.Elapsed.Seconds()
}

// ETA is how long the rest takes when the bytes of the file go on as fast as before; 0: unknown or done.
func (p Progress) ETA() time.Duration {
	if p.Bytes <= 0 || p.TotalBytes <= p.Bytes {
		return 0
	}
	return time.Duration(float64(p.Elapsed) * float64(p.TotalBytes-p.Bytes) / float64(p.Bytes))
}

// Run imports the file. Every row is counted in the Result: as a line of a sale, credit or adjustment
// (newly stored, or found stored with the same values), or as a reject. Batches commit one by one, so
// after an error or a kill the same call stores the rest; the Result then tells what was done before.
func Run(ctx context.Context, pool *pgxpool.Pool, enq jobs.Enqueuer, opts Options) (Result, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Result{}, fmt.Errorf("import orders: %w", err)
	}
	src, err := openSource(opts.Path)
	if err != nil {
		return Result{}, fmt.Errorf("import orders: %w", err)
	}
	defer src.close()
	rows, err := newRowReader(src, opts)
	if err != nil {
		return Result{}, fmt.Errorf("import orders: %w", err)
	}
	result, err := run(ctx, pool, enq, rows, opts)
	if err != nil {
		return result, fmt.Errorf("import orders of %s: %w", opts.Path, err)
	}
	return result, nil
}

// run reads and parses in one goroutine and writes in others, with one finished batch between them.
func run(ctx context.Context, pool *pgxpool.Pool, enq jobs.Enqueuer, rows *rowReader, opts Options) (Result, error) {
	w, err := newWriter(ctx, pool, enq, rows, opts)
	if err != nil {
		return Result{}, err
	}
	defer w.close()
	group, groupCtx := errgroup.WithContext(ctx)
	batches := make(chan batch, 1)
	group.Go(func() error {
		defer close(batches)
		return readBatches(groupCtx, rows, opts, batches)
	})
	group.Go(func() error {
		return w.writeAll(groupCtx, batches)
	})
	err = group.Wait()
	if cause := ctx.Err(); cause != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = cause
	}
	if err == nil {
		err = analyze(ctx, pool)
	}
	return w.result(), err
}

// The workers may already run on statistics from before the import, whose plans are far slower. The lines
// take as long as all the rest together.
var analyzeSQL = []string{
	`analyze /* importer.analyze */ order_lines`,
	`analyze /* importer.analyze */ customers, products, orders, river_job`,
}

func analyze(ctx context.Context, pool *pgxpool.Pool) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, sql := range analyzeSQL {
		group.Go(func() error {
			_, err := pool.Exec(ctx, sql)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("analyze tables: %w", err)
	}
	return nil
}
