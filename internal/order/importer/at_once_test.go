package importer

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

// TestRejectsKeepTheOrderOfTheFile has batches of very different size on their way at the same time.
func TestRejectsKeepTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	const documents = 120
	pool := pgtest.Pool(t)
	text := shopHeader
	for n := range documents {
		lines := 1
		if n%4 == 0 {
			lines = 200
		}
		text += strings.Repeat(fmt.Sprintf("%d,S%d,THING,1,2011-01-04 10:00:00,1.25,%d,EIRE\n", 800000+n, n%7, 12000+n), lines)
		text += fmt.Sprintf("R%d,S1,THING,many,2011-01-04 10:00:00,1.25,,EIRE\n", n)
	}
	var rejects bytes.Buffer
	opts := shopOptions(t, textFile(t, text))
	opts.Batch, opts.GroupWindow, opts.Rejects = 3, 1, &rejects
	result := mustRun(t, pool, opts)
	if result.DocumentsNew != documents || result.RejectedLines != documents {
		t.Errorf("result %s", resultJSON(t, result))
	}
	rows, err := csv.NewReader(&rejects).ReadAll()
	if err != nil || len(rows) != 1+documents {
		t.Fatalf("%d rows of rejects, %v", len(rows), err)
	}
	numbers := make([]string, documents)
	want := make([]string, documents)
	for n, row := range rows[1:] {
		numbers[n], want[n] = row[1], fmt.Sprintf("R%d", n)
	}
	if !slices.Equal(numbers, want) {
		t.Errorf("rejects come as %q", numbers)
	}
	wantOneJobEach(t, pool)
	wantTexts(t, pool, `select number from orders where not exists (select from order_lines where order_id = id)`)
	wantTexts(t, pool, `select count(*) || ' ' || count(distinct sku) from products`, "7 7")
}

// TestOneConnection has a pool in which batches wait for each other's connection.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Connect(t.Context(), pgtest.URL(t), postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	opts := shopOptions(t, generated(t, 50))
	opts.Batch = 3
	if result := mustRun(t, pool, opts); result.DocumentsNew != 50 {
		t.Errorf("result %s", resultJSON(t, result))
	}
}
