package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/report"
)

// long asks for the longer forms of tests.
var long = os.Getenv("BACKOFFICE_LONG") != ""

func TestAStoppedExportEndsByteForByteTheSame(t *testing.T) {
	t.Parallel()
	stops := 3
	if long {
		stops = 20
	}
	o := newOffice(t)
	o.settings.PartRows = 40
	o.process("A", 1_000)
	for _, format := range []string{"csv", "jsonl"} {
		stop := o.work("whole-" + format)
		whole, _ := o.make(orderLines(format, nil))
		stop()
		forced := orderLines(format, nil)
		forced.Force = true
		id := o.request(forced).Report.ID
		resumed := 0
		for range stops {
			before := o.number(`select count(*) from artifact_parts where report_id = $1`, id)
			stop := o.work("stopped-" + format)
			goal := before + 1 + rand.IntN(15)
			pgtest.Eventually(t, "some parts are stored", func() (bool, error) {
				return o.number(`select count(*) from artifact_parts where report_id = $1`, id) >= goal || o.get(id).Status.Final(), nil
			})
			stop()
			if !o.get(id).Status.Final() {
				resumed++
				o.exec(`update river_job set scheduled_at = now(), state = 'available' where state in ('retryable', 'scheduled')`)
			}
			o.process("later-"+fmt.Sprint(rand.Uint64()), 1) // is not part of a report that has begun
		}
		o.work("last-" + format)
		o.await(id, report.StatusCompleted)
		if !bytes.Equal(o.read(id), whole) {
			t.Errorf("%s: the bytes after %d stops differ from those of an undisturbed run", format, resumed)
		}
		if resumed == 0 {
			t.Errorf("%s: no stop came in the midst", format)
		}
		o.wantSound()
	}
}

func TestAStoppedDocumentBeginsAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 600) // of which one query reads 500
	release := o.hold("order_lines")
	id := o.request(orderLines("xlsx", nil)).Report.ID
	stop := o.work("stopped")
	o.awaitsLines()
	stop()
	release()
	if found := o.get(id); found.Status != report.StatusQueued {
		t.Fatalf("after the stop it is %s (%s)", found.Status, found.Error)
	}
	o.work("last")
	if made := o.await(id, report.StatusCompleted); made.Rows != 2_400 {
		t.Errorf("it has %d rows", made.Rows)
	}
	o.read(id)
	o.wantSound()
}

// awaitsLines waits until a report waits for a table that hold holds.
func (o *office) awaitsLines() {
	o.t.Helper()
	pgtest.Eventually(o.t, "it runs into the lock", func() (bool, error) {
		return o.number(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like '%report.OrderLines%'`) > 0, nil
	})
}

// stopAfter works a report and stops it in the midst: once so many parts are recorded, and the next is about to be.
func (o *office) stopAfter(parts int) {
	o.t.Helper()
	tx, err := o.pool.Begin(context.Background())
	must(o.t, err)
	_, err = tx.Exec(o.t.Context(), `select pg_advisory_xact_lock(1)`)
	must(o.t, err)
	o.exec(fmt.Sprintf(`create function stand_still() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
		create trigger stand_still before insert on artifact_parts for each row when (new.part_no > %d) execute function stand_still()`, parts))
	stop := o.work("stopped")
	pgtest.Eventually(o.t, fmt.Sprintf("%d parts are recorded", parts), func() (bool, error) {
		return o.number(`select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database() and query like '%report.part%'`) > 0, nil
	})
	stop()
	must(o.t, tx.Rollback(context.Background()))
	o.exec(`drop trigger stand_still on artifact_parts`)
	if n := o.number(`select count(*) from artifact_parts`); n != parts {
		o.t.Fatalf("%d parts are recorded, want %d", n, parts)
	}
}

// cancel cancels a report as the API does.
func (o *office) cancel(id int64) (cancelled report.Report, err error) {
	err = postgres.InTx(o.t.Context(), o.pool, func(tx pgx.Tx) (err error) {
		cancelled, err = report.Cancel(o.t.Context(), tx, o.inserter, id, time.Now())
		return err
	})
	return cancelled, err
}

// hold keeps reports at work from going on: it holds the order lines until it is released.
func (o *office) hold(table string) (release func()) {
	o.t.Helper()
	tx, err := o.pool.Begin(context.Background())
	must(o.t, err)
	_, err = tx.Exec(o.t.Context(), "lock table "+table+" in access exclusive mode")
	must(o.t, err)
	return func() { must(o.t, tx.Rollback(context.Background())) }
}

func TestCancelEndsAReportAndItsJob(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 200)
	if _, err := o.cancel(4711); !errors.Is(err, report.ErrNotFound) {
		t.Errorf("cancelling no report answers %v", err)
	}
	t.Run("one that is queued", func(t *testing.T) {
		id := o.request(orderLines("csv", nil)).Report.ID
		cancelled, err := o.cancel(id)
		if err != nil || cancelled.Status != report.StatusCancelled || cancelled.FinishedAt == nil {
			t.Errorf("cancelled: %+v, %v", cancelled, err)
		}
		if n := o.number(`select count(*) from river_job where id = $1 and state = 'cancelled'`, cancelled.JobID); n != 1 {
			t.Error("its job is not cancelled")
		}
		if _, err := o.cancel(id); !errors.Is(err, report.ErrTooLate) {
			t.Errorf("cancelling it again answers %v", err)
		}
	})
	o.work("test")
	for _, tc := range []struct{ name, format, jobCancel string }{
		{"an export that runs", "csv", ""},
		{"a document that runs", "xlsx", ""},
		{"one whose job is cancelled", "csv", "job"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			release := o.hold("order_lines")
			made := o.request(orderLines(tc.format, map[string]string{"country": "EIRE"})).Report
			o.awaitsLines()
			asked := time.Now()
			if tc.jobCancel != "" {
				_, err := o.inserter.JobCancel(t.Context(), made.JobID)
				must(t, err)
			} else {
				_, err := o.cancel(made.ID)
				must(t, err)
			}
			o.await(made.ID, report.StatusCancelled)
			t.Logf("stopped after %s", time.Since(asked))
			release()
			if n := o.number(`select count(*) from river_job where id = $1 and state = 'cancelled'`, made.JobID); n != 1 {
				t.Error("its job is not cancelled")
			}
			if _, _, err := report.Open(t.Context(), o.pool, o.stores, made.ID, 0); !errors.Is(err, report.ErrFailed) {
				t.Errorf("opening it answers %v", err)
			}
			pgtest.Eventually(t, "nothing is left of it", func() (bool, error) {
				return o.number(`select (select count(*) from temp_files) + (select count(*) from artifact_parts)`) == 0, nil
			})
			o.wantSound()
		})
	}
	t.Run("one that is complete", func(t *testing.T) {
		_, made := o.make(orderLines("csv", nil))
		if _, err := o.cancel(made.ID); !errors.Is(err, report.ErrTooLate) {
			t.Errorf("cancelling it answers %v", err)
		}
		o.read(made.ID)
	})
}

// A report that waits for its next attempt has parts and nobody at work on them.
func TestACancelledReportThatWaitsForAnAttemptKeepsNoParts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`update river_job set state = 'retryable', attempt = 1 where id = $1`, made.JobID)
	o.exec(`insert into temp_files (location) values ('file:reports/1/1-x')`)
	o.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id)
	        values ($1, 1, 'file:reports/1/1-x', 1, 1, sha256('x'), '', 1)`, made.ID)
	_, err := o.cancel(made.ID)
	must(t, err)
	o.await(made.ID, report.StatusCancelled)
	if n := o.number(`select count(*) from temp_files where deleting_at is null`); n != 0 {
		t.Error("its object is not left to the next cleanup")
	}
	o.wantSound()
}

// A report that is cancelled while its process dies is left to whoever finds its job ended.
func TestACancelledReportOfADeadProcessKeepsNoParts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`update river_job set state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{dead}' where id = $1`, made.JobID)
	o.exec(`insert into temp_files (location) values ('file:reports/1/1-x')`)
	o.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id)
	        values ($1, 1, 'file:reports/1/1-x', 1, 1, sha256('x'), '', 1)`, made.ID)
	_, err := o.cancel(made.ID)
	must(t, err)
	for _, ended := range []bool{false, true} {
		if ended { // by who found that the process had died
			o.exec(`update river_job set state = 'cancelled', finalized_at = now() where id = $1`, made.JobID)
		}
		_, err = report.Settle(t.Context(), o.pool)
		must(t, err)
		parts, marked := o.number(`select count(*) from artifact_parts`), o.number(`select count(*) from temp_files where deleting_at is not null`)
		if gone := parts == 0 && marked == 1; gone != ended {
			t.Errorf("its job has ended: %t, and there are %d parts, %d of them left to the next cleanup", ended, parts, marked)
		}
	}
	o.wantSound()
}

// Parts of two versions would make a file whose columns change in its midst.
func TestPartsOfAnotherVersionAreMadeAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 200)
	made := o.request(orderLines("csv", nil)).Report
	o.stopAfter(4)
	o.exec(`update reports set version = 99 where id = $1`, made.ID)
	rows, err := o.pool.Query(t.Context(), `select location from artifact_parts`)
	must(t, err)
	before, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	o.work("this build")
	o.await(made.ID, report.StatusCompleted)
	for _, location := range before {
		if o.number(`select count(*) from artifact_parts where location = $1`, location) > 0 {
			t.Errorf("part %s of the other version is in the artifact", location)
		}
	}
	if rows := len(exported(t, "csv", o.read(made.ID))); rows != 800 {
		t.Errorf("the artifact has %d rows, want 800", rows)
	}
	o.wantSound()
}

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

// Where the signal of a cancellation is not heard, such as behind a pooler, the report's row is seen.
func TestACancelledReportStopsWithoutASignal(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	o.work("test")
	release := o.hold("order_lines")
	defer release()
	made := o.request(orderLines("csv", nil)).Report
	o.awaitsLines()
	o.exec(`update reports set status = 'cancelled', finished_at = now() where id = $1`, made.ID)
	o.await(made.ID, report.StatusCancelled)
	if n := o.number(`select count(*) from river_job where id = $1 and state = 'cancelled'`, made.JobID); n != 1 {
		t.Error("its job is not cancelled")
	}
}

// The last moment to cancel is before the publication has locked the job.
func TestAReportCancelledBeforeItsPublicationHasNoArtifact(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	release := o.hold("order_lines")
	o.work("test")
	made := o.request(orderLines("xlsx", nil)).Report
	o.awaitsLines()
	tx, err := o.pool.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), `select from river_job where id = $1 for update`, made.JobID)
	must(t, err)
	_, err = tx.Exec(t.Context(), `update reports set status = 'cancelled', finished_at = now() where id = $1`, made.ID)
	must(t, err)
	release()
	pgtest.Eventually(t, "it is about to be published", func() (bool, error) {
		return o.number(`select count(*) from temp_files`) == 1 &&
			o.number(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like '%queue.InJobTx%'`) > 0, nil
	})
	must(t, tx.Commit(t.Context()))
	o.await(made.ID, report.StatusCancelled)
	if n := o.number(`select (select count(*) from artifacts) + (select count(*) from artifact_parts)`); n != 0 {
		t.Errorf("%d rows of an artifact are there", n)
	}
	o.wantSound()
}

func TestARequestDuringACancellationIsToldSo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`update river_job set state = 'running', attempted_at = now(), attempt = 1, attempted_by = '{elsewhere}' where id = $1`, made.JobID)
	_, err := o.cancel(made.ID)
	must(t, err)
	if _, err := o.tryRequest(orderLines("csv", nil)); !errors.Is(err, report.ErrTooLate) {
		t.Errorf("a request answers %v", err)
	}
}

func TestAReportWhoseJobEndedWithoutItIsSettled(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	want := map[int64]report.Status{}
	for country, tc := range map[string]struct {
		sql    string
		status report.Status
		words  string
	}{
		"A": {`update river_job set state = 'discarded', finalized_at = now(), errors = array['{"error": "worker process x died"}'::jsonb] where id = $1`, report.StatusFailed, "its job is discarded: worker process x died"},
		"B": {`update river_job set state = 'cancelled', finalized_at = now() where id = $1`, report.StatusCancelled, "its job is cancelled"},
		"C": {`delete from river_job where id = $1`, report.StatusFailed, "its job does not exist any more"},
		"D": {`update river_job set state = 'retryable', errors = array['{"error": "x"}'::jsonb] where id = $1`, report.StatusQueued, ""},
	} {
		made := o.request(orderLines("csv", map[string]string{"country": country})).Report
		o.exec(tc.sql, made.JobID)
		want[made.ID] = tc.status
		defer func() {
			if found := o.get(made.ID); found.Status != tc.status || found.Error != tc.words {
				t.Errorf("report %s is %s (%s), want %s (%s)", country, found.Status, found.Error, tc.status, tc.words)
			}
		}()
	}
	for _, settled := range []int{3, 0} {
		if n, err := report.Settle(t.Context(), o.pool); err != nil || n != settled {
			t.Errorf("Settle answers %d, %v; want %d", n, err, settled)
		}
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

// The parts of a document are known to cleanup alone until it is published.
func TestADocumentWhosePartsCleanupTookIsNotPublished(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	tx, err := o.pool.Begin(t.Context())
	must(t, err)
	release := o.hold("order_lines")
	o.work("test")
	made := o.request(orderLines("xlsx", nil)).Report
	o.awaitsLines()
	_, err = tx.Exec(t.Context(), `select from river_job where id = $1 for update`, made.JobID)
	must(t, err)
	release()
	pgtest.Eventually(t, "its part is stored", func() (bool, error) {
		return o.number(`select count(*) from temp_files`) == 1 &&
			o.number(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like '%queue.InJobTx%'`) > 0, nil
	})
	o.exec(`delete from temp_files`)
	must(t, tx.Commit(t.Context()))
	pgtest.Eventually(t, "the attempt has failed", func() (bool, error) {
		return strings.Contains(o.get(made.ID).Error, "1 of its 1 parts were cleaned up before it was complete"), nil
	})
	if n := o.number(`select (select count(*) from artifacts) + (select count(*) from artifact_parts)`); n != 0 {
		t.Errorf("%d rows of an artifact are there", n)
	}
}

func TestPartsThatCleanupTookAreMadeAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.settings.PartRows = 40
	o.process("A", 1_000)
	id := o.request(orderLines("csv", nil)).Report.ID
	o.stopAfter(4)
	var location string
	must(t, o.pool.QueryRow(t.Context(), `delete from temp_files where location = (select location from artifact_parts where part_no = 2) returning location`).Scan(&location))
	must(t, o.stores.Delete(t.Context(), location))
	o.exec(`update river_job set scheduled_at = now(), state = 'available' where state in ('retryable', 'scheduled')`)
	o.work("last")
	o.await(id, report.StatusCompleted)
	if rows := exported(t, "csv", o.read(id)); len(rows) != 4_000 {
		t.Errorf("%d rows, want 4,000", len(rows))
	}
	o.wantSound()
}

func TestAHeldPartIsNotRemoved(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.settings.PartRows = 40
	o.process("A", 1_000)
	made := o.request(orderLines("csv", nil)).Report
	o.stopAfter(4)
	o.exec(`insert into holds (target, key, reason, placed_by) select 'temp_files', min(id)::text, 'audit', 'test' from temp_files`)
	o.exec(`update river_job set scheduled_at = now(), state = 'available', args = args || '{"period": "yesterday"}' where state in ('available', 'retryable', 'scheduled')`) // which no worker can make a report of
	o.work("last")
	o.await(made.ID, report.StatusFailed)
	pgtest.Eventually(t, "only the held part is left", func() (bool, error) { return o.number(`select count(*) from temp_files`) == 1, nil })
	if n := o.number(`select count(*) from temp_files f join holds h on h.key = f.id::text where f.deleting_at is null`); n != 1 {
		t.Error("the held part is not the one that is left")
	}
	o.wantSound()
}
