package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEnqueueRefusesByNameBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	good := `{"kind": "process_order", "args": {"order_id": 1}}`
	file := func(lines ...string) string {
		path := filepath.Join(t.TempDir(), "jobs.ndjson")
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name  string
		args  []string
		code  int
		words []string
	}{
		{"nothing to enqueue", nil, exitUsage, []string{"--kind KIND or --from-file FILE"}},
		{"an unknown kind", []string{"--kind", "proces_order"}, exitUsage, []string{`kind "proces_order" is unknown`, "process_order"}},
		{"an unknown field", []string{"--kind", "process_order", "--args", `{"order_id": 1, "colour": 2}`}, exitUsage, []string{`unknown field "colour"`}},
		{"a wrong type", []string{"--kind", "process_order", "--args", `{"order_id": "one"}`}, exitUsage, []string{`field "order_id" wants int64`}},
		{"args that are no JSON", []string{"--kind", "process_order", "--args", `order 1`}, exitUsage, []string{"not valid JSON"}},
		{"an unknown queue", []string{"--kind", "reconcile_orders", "--queue", "ordres"}, exitUsage, []string{`queue "ordres"`, "maintenance, orders"}},
		{"a priority out of range", []string{"--kind", "reconcile_orders", "--priority", "5"}, exitUsage, []string{"priority 5", "from 1 (first) to 4 (last)"}},
		{"a unique job put off", []string{"--kind", "reconcile_orders", "--at", "9999-01-01T00:00:00Z"}, exitUsage, []string{"kind reconcile_orders cannot be put off"}},
		{"a unique job put off by its own command", []string{"process-order", "--order", "7", "--at", "1h"}, exitUsage, []string{"kind process_order cannot be put off"}},
		{"a unique job put off in a file", []string{"--from-file", file(good, `{"kind": "reconcile_orders", "at": "1h"}`)}, exitUsage, []string{"line 2", "cannot be put off"}},
		{"an order that does not exist", []string{"process-order", "--order", "4711"}, exitFailed, []string{"4711"}},
		{"a number that does not exist", []string{"process-order", "--number", "X-1"}, exitFailed, []string{"X-1"}},
		{"no order", []string{"process-order"}, exitUsage, []string{"--order ID", "--number NUMBER"}},
		{"a missing file", []string{"--from-file", "absent.ndjson"}, exitUsage, []string{"absent.ndjson"}},
		{"an empty file", []string{"--from-file", file("")}, exitUsage, []string{"holds no job"}},
		{"a bad last line", []string{"--from-file", file(good, `{"kind": "process_order", "args": {"order_id": 0}}`)}, exitUsage, []string{"line 2", "order_id"}},
		{"a line with an unknown field", []string{"--from-file", file(good, `{"kind": "process_order", "arg": {}}`)}, exitUsage, []string{"line 2", "arg"}},
		{"options that belong in the lines", []string{"--from-file", file(good), "--priority", "2"}, exitUsage, []string{"--priority"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused(t, s.try(append([]string{"enqueue"}, tc.args...)...), tc.code, tc.words...)
		})
	}
	var jobs []any
	s.json(&jobs, "jobs", "list")
	if len(jobs) != 0 {
		t.Errorf("%d jobs were written", len(jobs))
	}
}

func TestEnqueueTellsTheJobAndItsDuplicate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var first, second enqueuedJob
	s.json(&first, "enqueue", "--kind", "process_order", "--args", `{"order_id": 7}`, "--priority", "3", "--queue", "maintenance")
	s.json(&second, "enqueue", "--kind", "process_order", "--args", `{"order_id": 7}`)
	if first.Duplicate || !second.Duplicate || second.JobID != first.JobID {
		t.Errorf("first = %+v, second = %+v, want the second to be a duplicate of the first", first, second)
	}
	contains(t, s.text("jobs", "show", fmt.Sprint(first.JobID)), "maintenance, priority 3", "available")
}

func TestEnqueueFromFileIsAllOrNothingAndTellsDuplicates(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	path := filepath.Join(t.TempDir(), "jobs.ndjson")
	var lines strings.Builder
	for n := range 20 {
		fmt.Fprintf(&lines, "{\"kind\": \"process_order\", \"args\": {\"order_id\": %d}}\n\n", 1+n%15)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var counts map[string]int
	s.json(&counts, "enqueue", "--from-file", path)
	if counts["enqueued"] != 15 || counts["duplicates"] != 5 {
		t.Errorf("counts = %v, want 15 enqueued and 5 duplicates", counts)
	}
}

func TestEnqueueWaitAnswersWithTheJobsEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	worker := process(t, "worker", "--database-url", s.url, "--log-level", "error")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	s.text("orders", "place", "--number", "7001", "--line", "A:1:1")
	contains(t, s.text("enqueue", "process-order", "--number", "7001", "--wait"), "is completed")

	r := s.try("enqueue", "--kind", "process_order", "--args", `{"order_id": 4711}`, "--wait")
	if r.code != exitFailed {
		t.Errorf("exit code = %d, want %d", r.code, exitFailed)
	}
	contains(t, r.stderr, "cancelled", "order 4711 does not exist")
}

// plainArgs are of a kind that is not unique, which may be put off.
type plainArgs struct{}

func (plainArgs) Kind() string { return "plain" }

func TestJobThatKeepsNoOtherOutMayBePutOff(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	for at, want := range map[string]time.Time{"10m": now.Add(10 * time.Minute), "2026-02-01T08:00:00Z": now.AddDate(0, 0, 1)} {
		if opts, err := insertOpts(plainArgs{}, "", 0, at, now); err != nil || !opts.ScheduledAt.Equal(want) {
			t.Errorf("at %s: %s, %v, want %s", at, opts.ScheduledAt, err, want)
		}
	}
	if _, err := insertOpts(plainArgs{}, "", 0, "tomorrow", now); err == nil || !strings.Contains(err.Error(), `at "tomorrow" is neither`) {
		t.Errorf("at tomorrow: %v", err)
	}
}
