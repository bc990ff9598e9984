package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/verify"
	"backoffice/jobs"
)

// long asks for the longer forms of tests.
var long = os.Getenv("BACKOFFICE_LONG") != "" // read before TestMain takes the settings away

// manyLinesSQL stores orders of four lines each that were processed, all rules kept.
const manyLinesSQL = `
with stored as (
  insert into orders (number, country, enqueued)
  select format('M-%s', n), 'EIRE', true from generate_series(1, $1) n
  returning id
), lines as (
  insert into order_lines (order_id, line_no, sku, description, quantity, unit_price)
  select id, line_no, format('SKU-%s', line_no), 'a "quoted", long enough description', line_no, 1.25
    from stored cross join generate_series(1, 4) line_no
), effects as (
  insert into order_effects (order_id, effect, applied_at)
  select id, effect, now() from stored cross join unnest('{stock,ledger}'::text[]) effect
), booked as (
  insert into ledger_entries (order_id, account, amount, at)
  select id, account, amount, now() from stored cross join (values ('receivable', 12.5), ('revenue', -12.5)) entries (account, amount)
)
insert into order_transitions (order_id, from_status, to_status, at)
select id, 'placed', 'processed', now() from stored order by id`

func (s shop) manyLines(orders int) {
	s.t.Helper()
	s.exec(manyLinesSQL, orders)
	s.exec(`update orders set status = 'processed' where number like 'M-%'`)
	s.exec(`analyze`)
}

// askForReport enqueues a report although there may be the same already.
func (s shop) askForReport(format string) (id int64) {
	s.t.Helper()
	inserter, err := queue.NewInserter(s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	err = postgres.InTx(s.t.Context(), s.pool, func(tx pgx.Tx) error {
		asked, err := report.Request(s.t.Context(), tx, inserter, jobs.GenerateReportArgs{Type: "order-lines", Format: format, Params: json.RawMessage(`{}`), Force: true}, time.Now())
		id = asked.Report.ID
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// complete waits for a report and answers its manifest.
func (s shop) complete(id int64) report.Manifest {
	s.t.Helper()
	var found report.Report
	pgtest.Eventually(s.t, "the report is complete", func() (bool, error) {
		var err error
		found, err = report.Get(s.t.Context(), s.pool, id)
		if err == nil && found.Status.Final() && found.Status != report.StatusCompleted {
			err = fmt.Errorf("report %d is %s: %s", id, found.Status, found.Error)
		}
		return found.Status == report.StatusCompleted, err
	})
	return *found.Artifact
}

func TestKilledWorkersLeaveNoTraceInAnExport(t *testing.T) {
	t.Parallel()
	orders, kills := 60_000, 3
	if long {
		orders, kills = 250_000, 20
	}
	s := newShop(t)
	s.manyLines(orders)
	dir := filepath.Join(t.TempDir(), "artifacts")
	work := []string{"--queue", "reports", "--queue", "maintenance", "--store", "file://" + dir, "--heartbeat", "200ms", "--self-limit", "1s", "--dead-after", "2s", "--max-crash-rescues", "100"}
	workers := s.startWorkers(1, work...)
	begun := time.Now()
	whole := s.complete(s.askForReport("csv"))
	took := time.Since(begun)
	if whole.Rows != int64(4*orders) || whole.Parts < 3 {
		t.Fatalf("the undisturbed export has %+v", whole)
	}
	killed, midway := 0, 0
	for range kills {
		id := s.askForReport("csv")
		pgtest.Eventually(t, "it runs", func() (bool, error) {
			return s.number(`select count(*) from reports where id = $1 and status <> 'queued'`, id) == 1, nil
		})
		select { // a random point of its course
		case <-time.After(rand.N(took)):
		case <-t.Context().Done():
		}
		s.kill(workers)
		killed++
		if parts := s.number(`select count(*) from artifact_parts where report_id = $1`, id); parts > 0 && s.number(`select count(*) from reports where id = $1 and status = 'running'`, id) == 1 {
			midway++
		}
		if n := s.number(`select count(*) from artifacts where report_id = $1`, id) - s.number(`select count(*) from reports where id = $1 and status = 'completed'`, id); n != 0 {
			t.Error("an artifact is there before its report is complete")
		}
		workers = s.startWorkers(1, work...)
		if made := s.complete(id); made.SHA256 != whole.SHA256 || made.Bytes != whole.Bytes || made.Rows != whole.Rows {
			t.Errorf("after a kill the export is %+v, want %+v", made, whole)
		}
	}
	t.Logf("%d kills, %d of them between two parts of an export that took %s undisturbed", killed, midway, took.Round(time.Millisecond))
	s.kill(workers)
	s.conserves()
	s.text("verify", "--store", "file://"+dir)
	var checks []verifiedCheck
	s.json(&checks, "verify", "--store", "file://"+dir)
	if last := checks[len(checks)-1]; last.Check != verify.ArtifactCheck.Name || last.LookedAt != int64(kills+1) {
		t.Errorf("verify looked at %+v, want %d artifacts", last, kills+1)
	}
}
