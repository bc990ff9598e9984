package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/report"
)

func TestWaitTellsThatAReportFailedOrWasCancelled(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text(generate()...)
	s.exec(`update reports set status = 'failed', error = 'no space left on device', finished_at = now()`)
	s.exec(`update river_job set state = 'discarded', finalized_at = now()`)
	dir := t.TempDir()
	waits := make(chan ran, 1)
	go func() { waits <- s.try(generate("--wait", "--out", filepath.Join(dir, "x.csv"))...) }()
	pgtest.Eventually(t, "the report is asked for again", func() (bool, error) {
		return s.number(`select count(*) from reports`) == 2, nil
	})
	contains(t, s.text("reports", "cancel", "2"), "report 2 is cancelled")
	refused(t, <-waits, exitFailed, "report 2 was cancelled")
	if left := entries(t, dir); len(left) != 0 {
		t.Errorf("the folder holds %v", left)
	}
	refused(t, s.try("reports", "cancel", "2"), exitFailed, "report 2 is cancelled already")
	refused(t, s.try("reports", "download", "1"), exitFailed, "no space left on device")
	contains(t, s.text("reports", "list", "--status", "failed"), "no space left on device")
	if state := s.word(`select state::text from river_job where id = (select job_id from reports where id = 2)`); state != "cancelled" {
		t.Errorf("its job is %s", state)
	}
}

func TestAFailedReportWhoseJobIsRetriedWaitsAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text(generate()...)
	s.exec(`update reports set status = 'failed', error = 'no space left on device', finished_at = now()`)
	s.exec(`update river_job set state = 'discarded', finalized_at = now()`)
	s.text("jobs", "retry", s.word(`select job_id::text from reports`))
	contains(t, s.text(generate()...), "report 1 is the same and is queued")
	s.text("jobs", "cancel", s.word(`select job_id::text from reports`))
	if got := s.word(`select status || ' ' || (select string_agg(state::text, ',') from river_job) from reports`); got != "cancelled cancelled" {
		t.Errorf("report and job are %s", got)
	}
	refused(t, s.try("jobs", "retry", s.word(`select job_id::text from reports`)), exitFailed, "report 1 was cancelled", "ask for it again")
}

func TestInterruptedWaitSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, interrupt := context.WithCancel(t.Context())
	waits := make(chan ran, 1)
	go func() { waits <- backofficeWithin(t, ctx, append(generate("--wait"), "--database-url", s.url)...) }()
	pgtest.Eventually(t, "the report is asked for", func() (bool, error) { return s.number(`select count(*) from reports`) == 1, nil })
	interrupt()
	r := <-waits
	if r.code != exitFailed {
		t.Errorf("exit code = %d", r.code)
	}
	contains(t, r.stderr, "report 1", "goes on without this command", "backoffice reports show 1", "backoffice reports download 1")
	contains(t, s.text("jobs", "cancel", "1"), "cancelled")
	contains(t, s.text("reports", "show", "1"), "cancelled")
}

func TestReportLineTellsRowsBytesPercentAndTimeLeft(t *testing.T) {
	t.Parallel()
	left := 12 * time.Second
	r := report.Report{ID: 41, Status: report.StatusRunning, Done: 0.5, Rows: 1_234_567, Bytes: 56_700_000, ETA: &left}
	if got, want := reportLine(r, false), " 50%, 1,234,567 rows, 56.7 MB, about 12s left"; got != want {
		t.Errorf("line = %q, want %q", got, want)
	}
	if got, want := reportLine(r, true), "[############------------]  50%, 1,234,567 rows, 56.7 MB, about 12s left"; got != want {
		t.Errorf("line on a terminal = %q, want %q", got, want)
	}
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 999_499: "999.5 kB", 1_500_000_000: "1.5 GB", 7_000_000_000_000_000: "7000.0 TB"} {
		if got := bytesOf(n); got != want {
			t.Errorf("bytesOf(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestReportWhoseJobIsGoneEndsWithTheNextReconciliation(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text(generate()...)
	s.exec(`delete from river_job where kind = 'generate_report'`)
	s.text("enqueue", "reconcile-orders")
	s.text("worker", "--once")
	contains(t, s.text("reports", "show", "1"), "failed", "its job does not exist any more")
}

func TestExportThatGetsOnIsNotBlamedForTheDeathsOfItsProcesses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(10)
	s.text("worker", "--once")
	s.text(generate()...)
	s.exec(`insert into job_crashes (job_id, crash_count, last_crash_at, last_client_id) select job_id, 2, now(), 'gone' from reports`)
	s.text("worker", "--once")
	contains(t, s.text("reports", "show", "1"), "completed")
	if n := s.number(`select count(*) from job_crashes`); n != 0 {
		t.Errorf("the deaths of %d jobs are remembered", n)
	}
}
