package importer

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestMemoryIsBounded feeds documents that never end.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := newGrouper(Options{GroupWindow: 10})
	var err error
	lines := 0
	for ; err == nil && lines <= 2*minOpenLines; lines++ {
		_, err = g.add(row{line: lines + 2, number: fmt.Sprint(lines % 3)})
		if done := g.complete(); len(done) > 0 {
			t.Fatalf("order %q is complete while rows of it still come", done[0].number)
		}
	}
	want := fmt.Sprintf("line %d: more than %d lines belong to orders that are not complete yet", minOpenLines+2, minOpenLines)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("after %d lines: %v, want %s", lines, err, want)
	}
}

func TestCompleteDocumentsAreForgotten(t *testing.T) {
	t.Parallel()
	g := newGrouper(Options{GroupWindow: 10})
	for i := range 1000 {
		if _, err := g.add(row{line: i + 2, number: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		g.complete()
		if len(g.open) > 10 || g.byAge.Len() != len(g.open) || g.held != len(g.open) {
			t.Fatalf("%d documents, %d by age and %d lines are held with a window of 10", len(g.open), g.byAge.Len(), g.held)
		}
	}
	if rest := g.rest(); len(rest) != 10 || g.held != 0 {
		t.Errorf("%d documents were open at the end, %d lines held after it", len(rest), g.held)
	}
}

// TestRowsAreLimitedNotFiles reads a file that is longer than the longest row.
func TestRowsAreLimitedNotFiles(t *testing.T) {
	t.Parallel()
	const rows = 30_000
	opts := shopOptions(t, textFile(t, shopHeader+strings.Repeat(goodRow("1", "A"), rows)))
	opts, err := opts.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	src, err := openSource(opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	if src.size <= maxRowBytes {
		t.Fatalf("the file has only %d bytes", src.size)
	}
	r, err := newRowReader(src, opts)
	if err != nil {
		t.Fatal(err)
	}
	for n := range rows {
		if got, err := r.next(); err != nil || got.reason != "" || got.line != n+2 {
			t.Fatalf("row %d: line %d, reason %q, %v", n, got.line, got.reason, err)
		}
	}
	if _, err := r.next(); err != io.EOF {
		t.Errorf("after the last row: %v, want %v", err, io.EOF)
	}
}
