package importer

import (
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
)

// realFile is the shop's true file of six months, whose totals are published (UCI Machine Learning
// Repository, Online Retail, rows of 2010-12 to 2011-05). It is not part of the project.
func realFile(t *testing.T) string {
	path := os.Getenv("BACKOFFICE_REAL_FILE")
	if path == "" {
		t.Skip("BACKOFFICE_REAL_FILE does not name the real file")
	}
	return path
}

// wantRealTotals compares the tables, not the importer's counters, with the published figures.
func wantRealTotals(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	const lines = ` from orders o join order_lines l on l.order_id = o.id `
	const total = ` trim_scale(sum(l.quantity * l.unit_price)) `
	wantTexts(t, pool, `select count(*) || ' ' || count(distinct o.number) || ' ' || count(distinct l.sku) || ' ' || count(distinct o.customer_id) || ' ' ||`+total+lines,
		"209029 10783 3514 2767 3706827.641")
	wantTexts(t, pool, `select count(*)::text from orders where kind = 'credit'`, "1677")
	wantTexts(t, pool, `select count(*) || ' ' || (select count(*) from customers) from products`, "3514 2767")
	wantTexts(t, pool, `select to_char(o.placed_at at time zone 'Europe/London', 'YYYY-MM') || ' ' ||`+total+lines+`group by to_char(o.placed_at at time zone 'Europe/London', 'YYYY-MM') order by min(o.placed_at)`,
		"2010-12 748957.02", "2011-01 560000.26", "2011-02 498062.65", "2011-03 683267.08", "2011-04 493207.121", "2011-05 723333.51")
	wantTexts(t, pool, `select country || ' ' ||`+total+lines+`group by country order by sum(l.quantity * l.unit_price) desc limit 6`,
		"United Kingdom 3117720.121", "Netherlands 112906.68", "Germany 91688.25", "EIRE 84635.69", "France 71756.53", "Australia 55667.48")
	wantTexts(t, pool, `select sku || ' ' ||`+total+lines+`where sku in ('22423', '85123A') group by sku order by sku`, "22423 92434.67", "85123A 51204.69")
	wantOneJobEach(t, pool)
}

func TestRealFile(t *testing.T) {
	path := realFile(t)
	pool := pgtest.Pool(t)
	began := time.Now()
	child, progress, failure := startChild(t, pool.Config().ConnString(), path, DefaultBatch)
	for progress.Scan() {
	}
	if err := child.Wait(); err != nil {
		t.Fatalf("import: %v: %s", err, failure)
	}
	t.Logf("imported in %s, peak memory %d MB", time.Since(began).Round(10*time.Millisecond), child.ProcessState.SysUsage().(*syscall.Rusage).Maxrss/1024)
	wantRealTotals(t, pool)

	before := fingerprint(t, pool)
	began = time.Now()
	result := mustRun(t, pool, shopOptions(t, path))
	t.Logf("imported again in %s: %s", time.Since(began).Round(10*time.Millisecond), resultJSON(t, result))
	if after := fingerprint(t, pool); after != before {
		t.Errorf("the second import changed rows:\nbefore %s\nafter  %s", before, after)
	}
	if result.LinesRead != 209029 || result.RejectedLines != 0 || result.DocumentsNew != 0 || result.Credits != 1677 ||
		result.Orders+result.Credits+result.Adjustments != 10783 || result.NetAmount.String() != "3706827.641" {
		t.Errorf("result %s", resultJSON(t, result))
	}
}

// TestRealFileKilled kills ten imports of the real file, each somewhere in what the last has left.
func TestRealFileKilled(t *testing.T) {
	path := realFile(t)
	pool := pgtest.Pool(t)
	var killed []string
	for range 10 {
		killed = append(killed, killImport(t, pool.Config().ConnString(), path, 200, 1+rand.IntN(50)))
		wantTexts(t, pool, `select number from orders where not exists (select from order_lines where order_id = id)`)
		wantOneJobEach(t, pool)
	}
	t.Logf("killed once these lines were committed: %s", strings.Join(killed, " "))
	result := mustRun(t, pool, shopOptions(t, path))
	t.Logf("completed: %s", resultJSON(t, result))
	wantRealTotals(t, pool)
}
