package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"backoffice/internal/cleanup"
)

// tempFiles registers old temp files with objects in the database.
func (s shop) tempFiles(n int) {
	s.t.Helper()
	s.exec(`insert into temp_files (location, bytes, created_at) select 'postgres:temp/' || n, 5, '2026-01-02 03:04:05Z' from generate_series(1, $1) n`, n)
	s.exec(`insert into stored_objects (path, bytes) select 'temp/' || n, 5 from generate_series(1, $1) n`, n)
	s.exec(`insert into stored_chunks (path, n, content) select path, 0, '12345' from stored_objects`)
}

// cleanedJob is what enqueue clean-up --wait prints.
type cleanedJob struct {
	State string
	Error string
	Runs  []struct {
		ID         int64
		Policy     string
		Cutoff     time.Time
		DryRun     bool `json:"dry_run"`
		Rows       int
		Held       int
		Announced  *int64 `json:"announced_by"`
		As         *bool  `json:"as_announced"`
		Difference string
		SetHash    string `json:"set_hash"`
	}
}

// working lets a worker process work while work runs.
func (s shop) working(work func(), flags ...string) {
	s.t.Helper()
	worker := process(s.t, append([]string{"worker", "--database-url", s.url, "--queue", "maintenance=1", "--log-level", "warn"}, flags...)...)
	if err := worker.Start(); err != nil {
		s.t.Fatal(err)
	}
	work()
	_ = worker.Process.Kill()
	_ = worker.Wait() // it was killed
}

func TestDryRunAnnouncesWhatTheRunThenDeletes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFiles(12)
	s.working(func() {
		printed := s.text("enqueue", "clean-up", "--policy", "temp-files", "--dry-run", "--wait")
		contains(t, printed, "temp-files would delete 12 rows of temp_files", "bytes", "60", "oldest", "2026-01-02 03:04:05Z", "such as", "1 postgres:temp/1",
			"backoffice enqueue clean-up --policy temp-files --cutoff ")
		var dry, run cleanedJob
		s.json(&dry, "enqueue", "clean-up", "--policy", "temp-files", "--dry-run", "--wait")
		s.text("holds", "add", "temp_files", "3", "--reason", "lawsuit 7", "--by", "anna")
		s.exec(`delete from temp_files where id = 4`)
		s.json(&run, "enqueue", "clean-up", "--policy", "temp-files", "--cutoff", dry.Runs[0].Cutoff.Format(time.RFC3339Nano), "--wait")
		if got := run.Runs[0]; got.Rows != 10 || got.Held != 1 || got.As == nil || *got.As || *got.Announced != dry.Runs[0].ID {
			t.Errorf("the run says %+v", got)
		}
		want := fmt.Sprintf("dry run %d announced 12, this run deleted 10: 1 held since, 0 could not be deleted, 1 changed, were locked or went otherwise", dry.Runs[0].ID)
		if got := run.Runs[0].Difference; got != want {
			t.Errorf("differs: %s\nwant     %s", got, want)
		}
		s.exec(`update temp_files set created_at = '2026-01-02Z'`)
		var removed cleanup.Hold
		s.json(&removed, "holds", "remove", "temp_files", "3")
		if removed.Target != "temp_files" || removed.Key != "3" || removed.Reason == "" {
			t.Errorf("the removed hold is %+v", removed)
		}
		s.json(&dry, "enqueue", "clean-up", "--policy", "temp-files", "--dry-run", "--wait")
		contains(t, s.text("enqueue", "clean-up", "--policy", "temp-files", "--cutoff", dry.Runs[0].Cutoff.Format(time.RFC3339Nano), "--wait"),
			"temp-files deleted 1 row of temp_files", fmt.Sprintf("by dry run %d: the same set", dry.Runs[0].ID))
		contains(t, s.text("enqueue", "clean-up", "--wait"), "artifacts deleted 0 rows", "orphans deleted 0 rows", "worker-processes deleted 0 rows")
	})
	contains(t, s.text("inspect", "cleanup"), "temp-files", "finished")
	if n := s.number(`select count(*) from audit_log where action in ('place_hold', 'remove_hold') and target = 'temp_files 3' and actor like 'cli %'`); n != 2 {
		t.Errorf("%d actions are in the audit log, want 2", n)
	}
	s.conserves()
}

func TestARunSaysHowItDiffersFromTheDryRun(t *testing.T) {
	t.Parallel()
	run := func(set, rows, held, errors int64) cleanup.Run {
		return cleanup.Run{ID: 7, Rows: rows, Held: held, Errors: errors, SetHash: decimal.NewFromInt(set)}
	}
	for _, tc := range []struct {
		rule     string
		dry, run cleanup.Run
		want     string
	}{
		{"the same set does not", run(1, 5, 0, 0), run(1, 5, 2, 2), ""},
		{"fewer, and what was held or failed before is no reason", run(1, 1_012, 3, 4), run(2, 1_006, 5, 5),
			"dry run 7 announced 1,012, this run deleted 1,006: 2 held since, 1 could not be deleted, 3 changed, were locked or went otherwise"},
		{"fewer, though less is held and less fails", run(1, 3, 2, 2), run(2, 2, 1, 1),
			"dry run 7 announced 3, this run deleted 2: 0 held since, 0 could not be deleted, 1 changed, were locked or went otherwise"},
		{"more", run(1, 0, 0, 0), run(2, 3, 1, 0), "dry run 7 announced 0, this run deleted 3: 3 or more held, needed or out of reach then, or made old since"},
		{"as many, but others", run(1, 5, 1, 0), run(2, 5, 1, 0), "dry run 7 announced 5, this run deleted 5: 1 or more held, needed or out of reach then, or made old since"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			r := cleanupRun{Run: tc.run}
			if r.compare(tc.dry); r.Difference != tc.want || *r.AsAnnounced != (tc.want == "") {
				t.Errorf("differs: %s\nwant     %s", r.Difference, tc.want)
			}
		})
	}
}

func TestARefusedCleanupSaysWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFiles(150)
	s.text("retention", "set", "temp-files", "--max-share", "0.5")
	s.working(func() {
		r := s.try("enqueue", "clean-up", "--policy", "temp-files", "--wait")
		if r.code != exitFailed {
			t.Errorf("exit code %d", r.code)
		}
		contains(t, r.stderr, "was cancelled", "would delete more than 100 of 150 rows of temp_files, its share of at most 50%")
		contains(t, r.stdout, "temp-files deleted 0 rows")
	})
	if n := s.number(`select count(*) from temp_files`); n != 150 {
		t.Errorf("%d rows are left", n)
	}
	refused(t, s.try("enqueue", "clean-up", "--policy", "tempfiles"), exitUsage, `policy "tempfiles" does not exist; there are artifacts, cleanup-runs`)
	refused(t, s.try("enqueue", "clean-up", "--cutoff", "yesterday"), exitUsage, `--cutoff "yesterday" is no time`)
}

// Rows whose objects lie in files that the worker process was not given: neither run promises them, and both fail.
func TestACleanupThatCannotDeleteFails(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFiles(1)
	s.exec(`insert into temp_files (location, created_at) select 'file:downloads/' || n || '.zip', now() - interval '40 days' from generate_series(1, 4) n`)
	s.working(func() {
		for _, tc := range []struct{ flag, want, fails string }{
			{"--dry-run", "temp-files would delete 1 row of temp_files", "temp-files would not be able to delete 4 rows, the first "},
			{"--dry-run=false", "temp-files deleted 1 row of temp_files", "temp-files could not delete 4 rows, the first "},
		} {
			r := s.try("enqueue", "clean-up", "--policy", "temp-files", tc.flag, "--wait")
			if r.code != exitFailed {
				t.Errorf("%s: exit code %d", tc.flag, r.code)
			}
			contains(t, r.stdout, tc.want)
			contains(t, r.stderr, tc.fails, "file:downloads/1.zip", "--store file:///DIR")
		}
		s.text("enqueue", "clean-up", "--policy", "artifacts", "--wait")
	})
}

func TestHoldsAreAddedListedAndRemoved(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFiles(2)
	contains(t, s.text("holds", "list"), "no holds")
	contains(t, s.text("holds", "add", "temp_files", "1", "--reason", "lawsuit 7", "--by", "anna"), "temp_files 1 is held until the hold is removed")
	contains(t, s.text("holds", "list", "--table", "temp_files"), "temp_files  1    lawsuit 7  anna")
	s.exec(`update temp_files set deleting_at = '2026-03-04 12:00Z' where id = 2`)
	refused(t, s.try("holds", "add", "temp_files", "1", "--reason", "r"), exitFailed, "temp_files 1 is held already, since", "by anna: lawsuit 7")
	refused(t, s.try("holds", "add", "temp_files", "2", "--reason", "r"), exitFailed, "temp_files 2 is already being deleted since 2026-03-04T12:00:00Z")
	refused(t, s.try("holds", "add", "temp_files", "3", "--reason", "r"), exitFailed, "temp_files 3: there is no such row")
	refused(t, s.try("holds", "add", "orders", "3", "--reason", "r"), exitUsage, `target "orders" is none`)
	refused(t, s.try("holds", "add", "temp_files", "1"), exitUsage, "wants a --reason TEXT")
	refused(t, s.try("holds", "list", "--table", "orders"), exitUsage, `target "orders" is none`)
	refused(t, s.try("holds", "remove", "temp_files", "2"), exitFailed, "there is no hold on it")
	contains(t, s.text("holds", "remove", "temp_files", "1"), "is held no longer")
	var holds []cleanup.Hold
	if s.json(&holds, "holds", "list"); len(holds) != 0 {
		t.Errorf("holds are left: %+v", holds)
	}
}

func TestRetentionIsListedAndSet(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	cells := strings.Join(strings.Fields(s.text("retention", "list")), " ")
	contains(t, cells, "temp-files temp_files 30 days 1,000 100% true", "orphans orphans 1 day 1,000 50% true", "reports reports 365 days 1,000 100% true")
	contains(t, s.text("retention", "set", "temp-files", "--age", "14d", "--batch-size", "50", "--max-share", "0.25", "--enabled=false"), "14 days", "50", "25%", "false")
	if n := s.number(`select count(*) from audit_log where action = 'set_retention' and target = 'policy temp-files' and reason = 'age 336h0m0s, batch size 50, share 0.25, disabled'`); n != 1 {
		t.Errorf("the change is %d times in the audit log", n)
	}
	for _, tc := range []struct{ args, want string }{
		{"temp-files", "nothing to change"},
		{"temp-files --age 14", `--age "14" is no age; write it like 14d or 36h`},
		{"temp-files --age -1h", "age -1h0m0s is below zero"},
		{"temp-files --batch-size 0", "batch size 0 is not from 1 to 100000"},
		{"temp-files --max-share 2", "share 2 is not above 0 and at most 1"},
		{"temp-files --max-share 0.00001", "share 0.00001 has more than 4 decimals"},
		{"temp-files --max-share half", `--max-share "half" is no number`},
		{"tempfiles --age 1d", `policy "tempfiles" does not exist`},
	} {
		args := strings.Fields(tc.args)
		refused(t, s.try(append(append([]string{"retention", "set"}, args[1:]...), args[0])...), exitUsage, tc.want)
	}
}
