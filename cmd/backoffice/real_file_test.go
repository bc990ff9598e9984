package main

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
)

// realFile names six months of a real shop's orders: online-retail-2010-12-to-2011-05.csv.gz of the
// Online Retail data set (UCI Machine Learning Repository, CC BY 4.0). It is not part of the project;
// without it these longer forms of the tests beside them are skipped.
var realFile = os.Getenv("BACKOFFICE_REAL_FILE") // read before TestMain takes the settings away

func (s shop) importRealFile(args ...string) {
	s.t.Helper()
	if realFile == "" {
		s.t.Skip("needs BACKOFFICE_REAL_FILE, the path of online-retail-2010-12-to-2011-05.csv.gz")
	}
	s.text(append([]string{"orders", "import", realFile, "--credit-prefix", "C", "--timezone", "Europe/London", "--currency", "GBP", "--map",
		"number=InvoiceNo,sku=StockCode,description=Description,quantity=Quantity,placed_at=InvoiceDate,unit_price=UnitPrice,customer=CustomerID,country=Country"}, args...)...)
}

func TestRealFileIsProcessedToTheLastPenny(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.importRealFile()
	s.text("worker", "--once", "--log-level", "error")
	s.conserves()
	if n := s.number(`select count(*) from orders where status = 'processed'`); n != 10_783 {
		t.Errorf("%d orders are processed, want all 10,783", n)
	}
	if n := s.number(`select count(*) from (select sum(amount) filter (where account = 'receivable') as receivable, sum(amount) as rest from ledger_entries) l
	                   where receivable = 3706827.641 and rest = 0`); n != 1 {
		t.Error("the receivables do not come to 3,706,827.641, or the ledger not to zero")
	}
}

func TestRealFileWithScarceStockSurvivesKilledWorkers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.importRealFile("--opening-stock", "500")
	workers := s.startWorkers(4)
	finished := `select count(*) from river_job where state in ('completed', 'cancelled')`
	pgtest.Eventually(t, "half is done", func() (bool, error) { return s.number(finished) > 5_000, nil })
	dead := s.kill(workers[:2])
	unfinished := `select count(*) from river_job where kind = 'process_order' and state not in ('completed', 'cancelled')`
	pgtest.Eventually(t, "the others have done what they can", func() (bool, error) {
		return s.number(unfinished+` and not (state = 'running' and attempted_by[array_upper(attempted_by, 1)] like any($1))`, dead) == 0, nil
	})
	s.conserves()
	s.exec(`update river_job set state = 'available' where state = 'running' and kind = 'process_order'`)
	pgtest.Eventually(t, "all is done", func() (bool, error) { return s.number(unfinished) == 0, nil })
	s.conserves()
	t.Logf("%d processed, %d wait, %d rejected", s.number(`select count(*) from orders where status = 'processed'`),
		s.number(`select count(*) from orders where status = 'awaiting_stock'`), s.number(`select count(*) from orders where status = 'rejected'`))

	for s.number(`select count(*) from orders where status = 'awaiting_stock'`) > 0 {
		rows, err := s.pool.Query(t.Context(), `select distinct sku from order_waits`)
		if err != nil {
			t.Fatal(err)
		}
		short, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, sku := range short {
			s.text("products", "receive", sku, "100000")
		}
		pgtest.Eventually(t, "all is done again", func() (bool, error) { return s.number(unfinished) == 0, nil })
	}
	s.conserves()
	if n := s.number(`select count(*) from orders where status not in ('processed', 'rejected')`); n != 0 {
		t.Errorf("%d orders are neither processed nor rejected", n)
	}
	if n := s.number(`select count(*) from orders where status = 'rejected' and (kind <> 'adjustment' or reason not like '%writes off%')`); n != 0 {
		t.Errorf("%d orders were rejected for another cause than a write-off beyond the stock", n)
	}
}
