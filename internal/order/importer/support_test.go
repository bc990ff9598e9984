package importer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

// shop maps the columns of the shop whose files the fixtures imitate.
const shop = "number=InvoiceNo,sku=StockCode,description=Description,quantity=Quantity,placed_at=InvoiceDate,unit_price=UnitPrice,customer=CustomerID,country=Country"

const shopHeader = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

func shopOptions(t testing.TB, path string) Options {
	t.Helper()
	columns, err := ParseColumns(shop)
	if err != nil {
		t.Fatal(err)
	}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Path: path, Columns: columns, CreditPrefix: "C", Timezone: london}
}

func inserter(t testing.TB, pool *pgxpool.Pool) jobs.Enqueuer {
	t.Helper()
	enq, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	return enq
}

// textFile is a file of the given content.
func textFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustRun(t testing.TB, pool *pgxpool.Pool, opts Options) Result {
	t.Helper()
	result, err := Run(t.Context(), pool, inserter(t, pool), opts)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return result
}

// texts answers a query's rows of one text column.
func texts(t testing.TB, pool *pgxpool.Pool, sql string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return all
}

func wantTexts(t testing.TB, pool *pgxpool.Pool, sql string, want ...string) {
	t.Helper()
	if got := texts(t, pool, sql); !slices.Equal(got, want) {
		t.Errorf("%s\n got %s\nwant %s", sql, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// fingerprint changes with every row that is written, be it only locked or written with the same values.
func fingerprint(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	var prints []string
	for _, table := range []string{"customers", "products", "orders", "order_lines", "order_effects", "order_transitions", "stock_movements", "river_job"} {
		sql := fmt.Sprintf(`select '%s ' || count(*) || ' ' || coalesce(md5(string_agg(x.ctid || ' ' || x.xmin || ' ' || x.xmax || ' ' || x::text, ',' order by x.ctid)), '') from %[1]s x`, table)
		prints = append(prints, texts(t, pool, sql)...)
	}
	return strings.Join(prints, "\n")
}

func resultJSON(t testing.TB, r Result) string {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantOneJobEach checks that every order has its job and no job is without an order.
func wantOneJobEach(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	wantTexts(t, pool, `select coalesce(o.number, 'no order') || ' ' || count(j.id)
		from orders o full join river_job j on j.kind = 'process_order' and (j.args ->> 'order_id')::bigint = o.id
		group by o.number having count(j.id) <> 1 or o.number is null`)
}

// generated is a file of documents of two lines each.
func generated(t testing.TB, documents int) string {
	t.Helper()
	var text bytes.Buffer
	text.WriteString(shopHeader)
	w := csv.NewWriter(&text)
	for n := range documents {
		for line := range 2 {
			w.Write([]string{fmt.Sprint(800000 + n), fmt.Sprintf("S%d", (n*7+line)%97), "THING", "1", "2011-01-04 10:00:00", "1.25", fmt.Sprintf("%d.0", 12000+n%53), "EIRE"})
		}
	}
	w.Flush()
	return textFile(t, text.String())
}
