package main

import (
	"strings"
	"testing"
	"time"
)

func TestTableAlignsNumbersToTheRight(t *testing.T) {
	t.Parallel()
	table := newTable("SKU", ">ON_HAND", "NOTE")
	table.add("A", 7, "")
	table.add("Bürste", 12345, "two\nlines\x1b[31m")
	var printed strings.Builder
	if err := table.show(&printed, "none"); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"SKU     ON_HAND  NOTE\n" +
		"A             7\n" +
		"Bürste    12345  two lines [31m\n"
	if printed.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", printed.String(), want)
	}
}

func TestTableTooWideBecomesBlocks(t *testing.T) {
	t.Parallel()
	table := newTable(">ID", "NUMBER", "REASON")
	table.add(1, "7001", "")
	table.add(2, "7002", "short")
	var printed strings.Builder
	if err := table.printBlocks(&printed); err != nil {
		t.Fatal(err)
	}
	want := "ID      1\nNUMBER  7001\n\nID      2\nNUMBER  7002\nREASON  short\n"
	if printed.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", printed.String(), want)
	}
}

func TestCellsShowTimesInUTCAndNothingForNull(t *testing.T) {
	t.Parallel()
	paris := time.Date(2026, 3, 4, 13, 0, 0, 0, time.FixedZone("", 3600))
	var noTime *time.Time
	var noNumber *int64
	for _, tc := range []struct {
		value any
		want  string
	}{
		{paris, "2026-03-04 12:00:00Z"}, {&paris, "2026-03-04 12:00:00Z"}, {noTime, ""}, {time.Time{}, ""}, {noNumber, ""}, {nil, ""}, {true, "true"}, {12, "12"},
	} {
		if got := cell(tc.value); got != tc.want {
			t.Errorf("cell(%v) = %q, want %q", tc.value, got, tc.want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 209029: "209,029", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
