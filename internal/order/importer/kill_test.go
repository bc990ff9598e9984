package importer

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// The test binary runs as an importing process when this variable names a database, so that a test
// can kill it.
const (
	childURL   = "BACKOFFICE_TEST_IMPORT_URL"
	childFile  = "BACKOFFICE_TEST_IMPORT_FILE"
	childBatch = "BACKOFFICE_TEST_IMPORT_BATCH"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := importAsChild(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// importAsChild prints a line for each committed batch.
func importAsChild(url string) error {
	ctx := context.Background()
	pool, err := postgres.Connect(ctx, url, postgres.Options{MaxConns: 3})
	if err != nil {
		return err
	}
	defer pool.Close()
	enq, err := queue.NewInserter(pool)
	if err != nil {
		return err
	}
	columns, err := ParseColumns(shop)
	if err != nil {
		return err
	}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		return err
	}
	batch, err := strconv.Atoi(os.Getenv(childBatch))
	if err != nil {
		return err
	}
	_, err = Run(ctx, pool, enq, Options{
		Path: os.Getenv(childFile), Columns: columns, CreditPrefix: "C", Timezone: london, Batch: batch,
		Progress: func(p Progress) { fmt.Println(p.Lines) },
	})
	return err
}

func startChild(t testing.TB, url, file string, batch int) (*exec.Cmd, *bufio.Scanner, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childURL+"="+url, childFile+"="+file, childBatch+"="+strconv.Itoa(batch))
	var failure bytes.Buffer
	child.Stderr = &failure
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewScanner(out), &failure
}

// killImport starts an importing process and kills it after the given number of batches, most likely
// within the next. It answers the number of lines that were committed by then at least.
func killImport(t testing.TB, url, file string, batch, afterBatches int) (lines string) {
	t.Helper()
	child, progress, failure := startChild(t, url, file, batch)
	for range afterBatches {
		if !progress.Scan() {
			child.Wait()
			t.Fatalf("the import ended before it was killed: %s", failure)
		}
		lines = progress.Text()
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	return lines
}

// TestKilled kills importing processes at random points. What one leaves behind is complete orders
// with their jobs, and a last import completes it.
func TestKilled(t *testing.T) {
	t.Parallel()
	const documents = 400
	pool, file := pgtest.Pool(t), generated(t, documents)
	url := pool.Config().ConnString()
	for range 3 {
		after := 1 + rand.IntN(documents/5-1)
		lines := killImport(t, url, file, 5, after)
		t.Logf("killed after %d batches, %s lines", after, lines)
		wantTexts(t, pool, `select number || ' ' || count(order_id) from orders left join order_lines on order_id = id group by number having count(order_id) <> 2`)
		wantOneJobEach(t, pool)
	}
	result := mustRun(t, pool, shopOptions(t, file))
	if result.Orders != documents || result.LinesRead != 2*documents || result.RejectedLines != 0 {
		t.Errorf("result %s", resultJSON(t, result))
	}
	wantTexts(t, pool, `select count(distinct order_id) || ' ' || count(*) || ' ' || sum(quantity * unit_price) from order_lines`, "400 800 1000.0000")
	wantOneJobEach(t, pool)
}
