package report_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/report"
)

// cancel cancels a report as the API does.
func (o *office) cancel(id int64) (cancelled report.Report, err error) {
	err = postgres.InTx(o.t.Context(), o.pool, func(tx pgx.Tx) (err error) {
		cancelled, err = report.Cancel(o.t.Context(), tx, o.inserter, id, time.Now())
		return err
	})
	return cancelled, err
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

// withPart is a report of which a first attempt has made one part, and which waits for the next.
func (o *office) withPart() report.Report {
	o.t.Helper()
	made := o.request(orderLines("csv", nil)).Report
	o.exec(`update river_job set state = 'retryable', attempt = 1 where id = $1`, made.JobID)
	o.exec(`insert into temp_files (location) values ('file:reports/1/1-x')`)
	o.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id)
	        values ($1, 1, 'file:reports/1/1-x', 1, 1, sha256('x'), '', 1)`, made.ID)
	return made
}

// A report that waits for its next attempt has parts and nobody at work on them.
func TestACancelledReportThatWaitsForAnAttemptKeepsNoParts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.withPart()
	_, err := o.cancel(made.ID)
	must(t, err)
	o.await(made.ID, report.StatusCancelled)
	if n := o.number(`select count(*) from temp_files where deleting_at is null`); n != 0 {
		t.Error("its object is not left to the next cleanup")
	}
	o.wantSound()
}

// cancelAfter cancels a report while another transaction has made a change that is not committed yet.
func (o *office) cancelAfter(id int64, sql string, args ...any) {
	o.t.Helper()
	tx, err := o.pool.Begin(o.t.Context())
	must(o.t, err)
	defer tx.Rollback(o.t.Context())
	_, err = tx.Exec(o.t.Context(), sql, args...)
	must(o.t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := o.cancel(id)
		ended <- err
	}()
	pgtest.Eventually(o.t, "the cancellation waits", func() (bool, error) {
		return o.number(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0, nil
	})
	must(o.t, tx.Commit(o.t.Context()))
	must(o.t, <-ended)
}

// An attempt that begins at the same moment removes its parts itself.
func TestACancelledReportWhoseAttemptBeginsKeepsItsParts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.withPart()
	o.cancelAfter(made.ID, `update river_job set state = 'running', attempt = 2, attempted_at = now(), attempted_by = '{elsewhere}' where id = $1`, made.JobID)
	if n := o.number(`select count(*) from artifact_parts`); n != 1 {
		t.Error("the part of the attempt is gone")
	}
}

func TestACancelledReportsObjectThatIsHeldMeanwhileStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.withPart()
	o.cancelAfter(made.ID, `with locked as (select id from temp_files for update)
		insert into holds (target, key, reason, placed_by) select 'temp_files', id, 'asked for', 'somebody' from locked`)
	if n := o.number(`select count(*) from temp_files where deleting_at is null`); n != 1 {
		t.Error("an object is to be deleted that is held")
	}
}

// A report that is cancelled while its process dies is left to whoever finds its job ended.
func TestACancelledReportOfADeadProcessKeepsNoParts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := o.withPart()
	o.exec(`update river_job set state = 'running', attempted_at = now(), attempted_by = '{dead}' where id = $1`, made.JobID)
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
