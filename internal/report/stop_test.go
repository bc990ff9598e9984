package report_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
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

// hold keeps reports at work from going on: it holds the order lines until it is released.
func (o *office) hold(table string) (release func()) {
	o.t.Helper()
	tx, err := o.pool.Begin(context.Background())
	must(o.t, err)
	_, err = tx.Exec(o.t.Context(), "lock table "+table+" in access exclusive mode")
	must(o.t, err)
	return func() { must(o.t, tx.Rollback(context.Background())) }
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
