package importer

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/jobs"
)

// TestStopped cancels when the first batch is committed; the same call then stores the rest.
func TestStopped(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	opts := shopOptions(t, "testdata/shop.csv")
	opts.Batch = 1
	ctx, cancel := context.WithCancel(t.Context())
	opts.Progress = func(Progress) { cancel() }
	if _, err := Run(ctx, pool, inserter(t, pool), opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run of a cancelled import: %v", err)
	}
	awaitServer(t, pool)
	before := len(texts(t, pool, `select number from orders`)) // the first and those that were on their way
	if before < 1 || before > 1+batchesAtOnce {
		t.Errorf("%d orders were stored before the stop", before)
	}
	wantTexts(t, pool, `select number from orders where not exists (select from order_lines where order_id = id)`)
	wantOneJobEach(t, pool)
	opts.Progress = nil
	result := mustRun(t, pool, opts)
	if result.LinesRead != 16 || result.DocumentsNew != 8-before || result.Orders != 5 {
		t.Errorf("result of the second run, after %d orders of the first: %s", before, resultJSON(t, result))
	}
	wantTexts(t, pool, `select count(*)::text from order_lines`, "16")
	wantOneJobEach(t, pool)
}

// awaitServer returns when the server has ended what it does for connections that are cut: a commit that was on
// its way may still come.
func awaitServer(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	pgtest.Eventually(t, "the server does nothing for others", func() (bool, error) {
		return texts(t, pool, `select count(*)::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`)[0] == "0", nil
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	opts := shopOptions(t, "testdata/shop.csv")
	opts.Batch = 3
	var seen []Progress
	opts.Progress = func(p Progress) { seen = append(seen, p) }
	mustRun(t, pool, opts)
	last := seen[len(seen)-1]
	if last.Lines != 16 || last.Bytes != last.TotalBytes || last.TotalBytes == 0 || last.ETA() != 0 {
		t.Errorf("last progress %+v", last)
	}
	if !slices.IsSortedFunc(seen, func(a, b Progress) int { return a.Lines - b.Lines }) || len(seen) < 3 {
		t.Errorf("progress %+v", seen)
	}
	half := Progress{Lines: 100, Bytes: 25, TotalBytes: 100, Elapsed: 10 * time.Second}
	if half.Rate() != 10 || half.ETA() != 30*time.Second {
		t.Errorf("rate %v and ETA %v, want 10 and 30s", half.Rate(), half.ETA())
	}
}

// TestTwoAtOnce imports one file twice at the same time: every document is stored by one of the two.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	path := generated(t, 600)
	results := make(chan Result, 2)
	failures := make(chan error, 2)
	for _, batch := range []int{7, 11} {
		opts := shopOptions(t, path)
		opts.Batch = batch
		go func() {
			result, err := Run(context.Background(), pool, inserter(t, pool), opts)
			results <- result
			failures <- err
		}()
	}
	newDocuments := 0
	for range 2 {
		if err := <-failures; err != nil {
			t.Errorf("Run: %v", err)
		}
		result := <-results
		newDocuments += result.DocumentsNew
		if result.RejectedLines != 0 || result.LinesRead != 2*600 {
			t.Errorf("result %s", resultJSON(t, result))
		}
	}
	if newDocuments != 600 {
		t.Errorf("documents new to either import: %d, want 600", newDocuments)
	}
	wantTexts(t, pool, `select count(distinct order_id) || ' ' || count(*) from order_lines`, "600 1200")
	wantOneJobEach(t, pool)
}

// abortedOnce is an enqueuer whose first call Postgres aborts in favour of another transaction.
type abortedOnce struct {
	jobs.Enqueuer
	aborted bool
}

func (e *abortedOnce) InsertManyFastTx(ctx context.Context, tx pgx.Tx, params []river.InsertManyParams) (int, error) {
	if !e.aborted {
		e.aborted = true
		return 0, &pgconn.PgError{Code: "40P01"}
	}
	return e.Enqueuer.InsertManyFastTx(ctx, tx, params)
}

// TestAborted counts a batch once that was rolled back and stored at the second try.
func TestAborted(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	whole, err := os.ReadFile("testdata/shop.csv")
	if err != nil {
		t.Fatal(err)
	}
	firstOrder := strings.SplitAfterN(string(whole), "\n", 5)[:4]
	mustRun(t, pool, shopOptions(t, textFile(t, strings.Join(firstOrder, "")))) // is counted before the abort
	enq := &abortedOnce{Enqueuer: inserter(t, pool)}
	result, err := Run(t.Context(), pool, enq, shopOptions(t, "testdata/shop.csv"))
	if err != nil || !enq.aborted || result.LinesRead != 16 || result.DocumentsNew != 7 || result.Orders != 5 {
		t.Errorf("Run: %v, aborted %t, result %s", err, enq.aborted, resultJSON(t, result))
	}
	wantTexts(t, pool, `select count(*)::text from order_lines`, "16")
	wantOneJobEach(t, pool)
}
