package report_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/report"
)

// tiny is a file system of its own that holds half a megabyte.
func tiny(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestAFullDiskIsToldAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := tiny(t)
	o := newOfficeIn(t, "file://"+dir+"/artifacts")
	o.settings.PartRows = 500
	o.process("A", 3_000)
	for _, format := range []string{"csv", "xlsx"} {
		if format == "xlsx" { // which is smaller
			must(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 400<<10), 0o600))
		}
		made := o.request(orderLines(format, nil)).Report
		o.exec(`update river_job set max_attempts = 1 where id = $1`, made.JobID)
		stop := o.work("test-" + format)
		found := o.await(made.ID, report.StatusFailed)
		if !strings.Contains(found.Error, "no space left on device") || strings.Contains(found.Error, "\n") {
			t.Errorf("%s: it says %q", format, found.Error)
		}
		if _, _, err := report.Open(t.Context(), o.pool, o.stores, made.ID, 0); !errors.Is(err, report.ErrFailed) {
			t.Errorf("%s: opening it answers %v", format, err)
		}
		pgtest.Eventually(t, "nothing is left of it", func() (bool, error) {
			return o.number(`select (select count(*) from temp_files) + (select count(*) from artifact_parts)`) == 0, nil
		})
		o.wantSound()
		stop()
	}
}

func TestAStoreThatComesBackIsGoneOnWith(t *testing.T) {
	t.Parallel()
	dir := tiny(t)
	o := newOfficeIn(t, "file://"+dir+"/artifacts")
	o.settings.PartRows = 500
	o.process("A", 1_000)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 300<<10), 0o600))
	made := o.request(orderLines("csv", nil)).Report
	o.work("test")
	pgtest.Eventually(t, "an attempt has failed", func() (bool, error) {
		return o.number(`select count(*) from river_job where state = 'retryable'`) == 1, nil
	})
	kept := o.number(`select count(*) from artifact_parts`)
	if found := o.get(made.ID); kept == 0 || !strings.Contains(found.Error, "no space left on device") {
		t.Errorf("%d parts are kept, and it says %q", kept, found.Error)
	}
	must(t, os.Remove(ballast))
	o.exec(`update river_job set state = 'available', scheduled_at = now()`)
	o.await(made.ID, report.StatusCompleted)
	if n := o.number(`select count(*) from artifact_parts where created_at < (select finalized_at from river_job) and part_no <= $1`, kept); n != kept {
		t.Errorf("%d of the %d first parts are left", n, kept)
	}
	if rows := exported(t, "csv", o.read(made.ID)); len(rows) != 4_000 {
		t.Errorf("%d rows, want 4,000", len(rows))
	}
	o.wantSound()
}
