package report_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/internal/report"
)

// Where a filter passes over many, the next part may have all its rows.
func TestAPartAfterASparseStretchIsNoLargerThanOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t) // whose parts have 100 rows
	o.process("A", 2_000)
	o.process("B", 300)
	o.exec(`set session_replication_role = replica; update orders set country = 'Zed' where number like 'B-%'; set session_replication_role = origin`)
	o.work("test")
	_, made := o.make(orderLines("csv", map[string]string{"country": "Zed"}))
	if most := o.number(`select max(rows) from artifact_parts where report_id = $1`, made.ID); most > 200 || made.Rows != 1_200 {
		t.Errorf("a part has %d rows of %d", most, made.Rows)
	}
}

func TestReportsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 1)
	o.work("test")
	_, first := o.make(orderLines("csv", nil))
	_, second := o.make(orderLines("jsonl", nil))
	if second.ID != first.ID+1 {
		t.Errorf("report %d is followed by report %d", first.ID, second.ID)
	}
}

func TestAFailedReportRunsAgainWhenItsJobIsRetried(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`update river_job set max_attempts = 1 where id = $1`, made.JobID)
	o.exec(`alter table order_lines rename to hidden`)
	o.work("test")
	if found := o.await(made.ID, report.StatusFailed); !strings.Contains(found.Error, "order_lines") || strings.Contains(found.Error, "\n") {
		t.Errorf("it says %q", found.Error)
	}
	if _, _, err := report.Open(t.Context(), o.pool, o.stores, made.ID, 0); !errors.Is(err, report.ErrFailed) {
		t.Errorf("opening it answers %v", err)
	}
	o.exec(`alter table hidden rename to order_lines`)
	o.wantSound()
	_, err := o.inserter.JobRetry(t.Context(), made.JobID)
	must(t, err)
	pgtest.Eventually(t, "it is complete", func() (bool, error) { return o.get(made.ID).Status == report.StatusCompleted, nil })
	if found := o.get(made.ID); found.Error != "" || found.Rows != 80 {
		t.Errorf("it is %+v", found)
	}
}

// An operator's retry goes through report.Retried as well.
func TestAReportWhoseJobAnOperatorRetries(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`update reports set status = 'failed', started_at = now(), finished_at = now(), error = 'disk full', rows = 7, bytes = 70, done = 0.7`)
	must(t, report.Retried(t.Context(), o.pool, made.JobID))
	if found := o.get(made.ID); found.Status != report.StatusQueued || found.StartedAt != nil || found.FinishedAt != nil || found.Error != "" {
		t.Errorf("a failed one is %+v", found)
	}
	if n := o.number(`select count(*) from reports where rows = 0 and bytes = 0 and done = 0`); n != 1 {
		t.Error("it still tells how far it was")
	}
	o.exec(`update reports set status = 'cancelled', finished_at = now()`)
	if err := report.Retried(t.Context(), o.pool, made.JobID); !errors.Is(err, report.ErrTooLate) {
		t.Errorf("of a cancelled one Retried answers %v", err)
	}
	if found := o.get(made.ID); found.Status != report.StatusCancelled {
		t.Errorf("a cancelled one is %s", found.Status)
	}
	must(t, report.Retried(t.Context(), o.pool, made.JobID+1)) // of a job that makes no report
}

// A spreadsheet is put together after its rows were read, which takes long when there are many.
func TestASpreadsheetIsNotAlmostDoneOnceItsRowsAreRead(t *testing.T) {
	t.Parallel()
	o := newOfficeIn(t, "postgres:")
	o.process("A", 20)
	release := o.hold("stored_chunks")
	made := o.request(orderLines("xlsx", nil)).Report
	o.work("test")
	pgtest.Eventually(t, "its progress is told", func() (bool, error) {
		return o.number(`select count(*) from reports where rows > 0`) > 0, nil
	})
	if percent := o.number(`select round(done * 100)::integer from reports`); percent != 65 {
		t.Errorf("its rows are read, and it is done to %d%%", percent)
	}
	release()
	o.await(made.ID, report.StatusCompleted)
}

func TestAFailedAttemptIsToldWhileTheNextIsAwaited(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`alter table order_lines rename to hidden`)
	o.work("test")
	pgtest.Eventually(t, "the attempt has failed", func() (bool, error) {
		return o.number(`select count(*) from river_job where state = 'retryable'`) == 1, nil
	})
	if found := o.get(made.ID); found.Status != report.StatusQueued || !strings.Contains(found.Error, "order_lines") {
		t.Errorf("it is %s (%s)", found.Status, found.Error)
	}
}

func TestAnArtifactIsReadFromAnyByte(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.settings.PartRows = 20
	o.process("A", 50)
	queued := o.request(orderLines("jsonl", nil)).Report
	if _, _, err := report.Open(t.Context(), o.pool, o.stores, queued.ID, 0); !errors.Is(err, report.ErrNotReady) {
		t.Errorf("opening a queued report answers %v", err)
	}
	if _, _, err := report.Open(t.Context(), o.pool, o.stores, 4711, 0); !errors.Is(err, report.ErrNotFound) {
		t.Errorf("opening no report answers %v", err)
	}
	o.work("test")
	whole, made := o.make(orderLines("csv", nil))
	for _, offset := range append([]int{0, 1, len(whole) - 1, len(whole), len(whole) + 5}, rand.Perm(len(whole))[:40]...) {
		content, _, err := report.Open(t.Context(), o.pool, o.stores, made.ID, int64(offset))
		must(t, err)
		rest, err := io.ReadAll(content)
		must(t, err)
		must(t, content.Close())
		if !bytes.Equal(rest, whole[min(offset, len(whole)):]) {
			t.Errorf("from byte %d on there are %d bytes, want %d", offset, len(rest), len(whole)-offset)
		}
	}
	if made.Artifact.Parts < 3 || made.Artifact.FileName != "order-lines-1.csv" && !strings.HasPrefix(made.Artifact.FileName, "order-lines-") {
		t.Errorf("manifest is %+v", made.Artifact)
	}
	o.exec(`update artifacts set deleting_at = now() where report_id = $1`, made.ID)
	if _, _, err := report.Open(t.Context(), o.pool, o.stores, made.ID, 0); !errors.Is(err, report.ErrExpired) {
		t.Errorf("opening an expired report answers %v", err)
	}
}
