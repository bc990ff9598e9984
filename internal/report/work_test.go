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
