package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/report"
)

const oneMoreSQL = `
with stored as (
  insert into orders (number) values ($1)
  returning id
), lines as (
  insert into order_lines (order_id, line_no, sku, quantity, unit_price)
  select id, 1, 'TEA', 1, 1 from stored
)
insert into order_transitions (order_id, from_status, to_status, at)
select id, 'placed', 'processed', now() from stored`

// begin opens a transaction that has written an order's transition and is not committed.
func (o *office) begin(number string) pgx.Tx {
	o.t.Helper()
	tx, err := o.pool.Begin(context.Background())
	must(o.t, err)
	_, err = tx.Exec(o.t.Context(), oneMoreSQL, number)
	must(o.t, err)
	return tx
}

// awaitsWriters waits until a report waits for those who write. It shows in nothing but the absence of parts.
func (o *office) awaitsWriters(id int64) {
	o.t.Helper()
	pgtest.Eventually(o.t, "it looks for writers", func() (bool, error) {
		return o.number(`select count(*) from pg_stat_activity where datname = current_database() and query like '%report.watermark%pg_locks%' and pid <> pg_backend_pid()`) > 0, nil
	})
	if found := o.get(id); found.Status != report.StatusRunning {
		o.t.Fatalf("it is %s (%s)", found.Status, found.Error)
	}
}

func TestAnExportWaitsForWhoeverMayStillWriteBelowItsWatermark(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	low := o.begin("low")   // has drawn an id, and is slow
	high := o.begin("high") // draws a higher one, and commits first
	must(t, high.Commit(t.Context()))
	o.work("test")
	made := o.request(orderLines("csv", nil)).Report
	o.awaitsWriters(made.ID)
	late := o.begin("late") // draws its id after the watermark was read: it is not waited for, and not in the report
	must(t, low.Commit(t.Context()))
	o.await(made.ID, report.StatusCompleted)
	must(t, late.Commit(t.Context()))
	numbers := map[string]bool{}
	for _, row := range exported(t, "csv", o.read(made.ID)) {
		numbers[row[0]] = true
	}
	if !numbers["low"] || !numbers["high"] || numbers["late"] || len(numbers) != 22 {
		t.Errorf("low %t, high %t, late %t, %d orders in all; want true, true, false, 22", numbers["low"], numbers["high"], numbers["late"], len(numbers))
	}
}

func TestAWriterThatDoesNotEndIsNamed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.settings.WritersWithin = 200 * time.Millisecond
	writer := o.begin("never")
	o.work("test")
	made := o.request(orderLines("csv", nil)).Report
	pgtest.Eventually(t, "the attempt has failed", func() (bool, error) {
		return o.number(`select count(*) from river_job where state = 'retryable'`) == 1, nil
	})
	found := o.get(made.ID)
	for _, words := range []string{fmt.Sprintf("process %d", writer.Conn().PgConn().PID()), "with stored as", "order_transitions"} {
		if !strings.Contains(found.Error, words) {
			t.Errorf("it says %q, want %q in it", found.Error, words)
		}
	}
	must(t, writer.Rollback(t.Context()))
	o.exec(`update river_job set state = 'available', scheduled_at = now()`)
	o.await(made.ID, report.StatusCompleted)
}

// A transaction of another database, or one that reads, is no writer.
func TestReadersAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	reader, err := o.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	must(t, err)
	defer reader.Rollback(context.Background())
	_, err = reader.Exec(t.Context(), `select count(*) from order_transitions`)
	must(t, err)
	t.Run("beside a database whose tables have the same numbers", func(t *testing.T) { // both are copies of one
		elsewhere := newOffice(t).begin("elsewhere")
		defer elsewhere.Rollback(context.Background())
		o.work("test")
		o.await(o.request(orderLines("csv", nil)).Report.ID, report.StatusCompleted)
	})
}
