package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/xuri/excelize/v2"

	"backoffice/internal/report"
)

// wantedLines are the rows an export must have, read in another way than it reads them.
func (o *office) wantedLines(where string, args ...any) [][]string {
	o.t.Helper()
	rows, err := o.pool.Query(o.t.Context(), `
		select o.number, o.kind, to_char(o.placed_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), o.customer_id, coalesce(o.country, ''), o.currency,
		       l.line_no, l.line_kind, l.sku, coalesce(l.description, ''), l.quantity, l.unit_price::float8, (l.quantity * l.unit_price)::float8
		  from orders o
		  join order_lines l on l.order_id = o.id
		  join order_transitions t on t.order_id = o.id and t.to_status = 'processed'
		 where `+where+`
		 order by t.id, l.line_no`, args...)
	must(o.t, err)
	wanted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		values, err := row.Values()
		line := make([]string, len(values))
		for i, value := range values {
			line[i] = fmt.Sprint(value)
		}
		switch line[3] {
		case "<nil>":
			line[3] = ""
		default:
			line[3] = "C-" + line[3]
		}
		return line, err
	})
	must(o.t, err)
	return wanted
}

const orderLinesHeader = "order_number,order_kind,placed_at,processed_at,customer,country,currency,line_no,line_kind,sku,description,quantity,unit_price,amount\n"

// comparable is an exported row as wantedLines has it: without processed_at and the microseconds of placed_at.
func comparable(row []string) []string {
	row[2] = strings.Replace(row[2], ".000000Z", "Z", 1)
	return append(row[:3:3], row[4:]...)
}

// exported are the rows of an export in csv or jsonl.
func exported(t *testing.T, format string, content []byte) (rows [][]string) {
	t.Helper()
	if format == "csv" {
		all, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
		must(t, err)
		for _, row := range all[1:] {
			rows = append(rows, comparable(row))
		}
		return rows
	}
	columns := strings.Split(strings.TrimSpace(orderLinesHeader), ",")
	for line := range strings.Lines(string(content)) {
		var values map[string]any
		must(t, json.Unmarshal([]byte(line), &values))
		row := make([]string, len(columns))
		for i, column := range columns {
			if value := values[column]; value != nil {
				row[i] = fmt.Sprint(value)
			}
		}
		rows = append(rows, comparable(row))
	}
	return rows
}

func TestOrderLinesHoldEveryLineOnceInOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 150)
	o.exec(`insert into orders (number) values ('not processed')`)
	o.exec(`insert into orders (number, placed_at) values ('placed ahead', '2099-07-01')`)
	o.exec(`insert into order_lines (order_id, line_no, sku, quantity, unit_price) select id, 1, 'A', 1, 1 from orders where number = 'placed ahead'`)
	o.exec(`insert into order_transitions (order_id, from_status, to_status, at) select id, 'placed', 'processed', now() from orders where number = 'placed ahead'`)
	o.work("test")
	for _, tc := range []struct {
		name   string
		params map[string]string
		where  string
	}{
		{"all", nil, `true`},
		{"of some days, by the clocks of a zone", map[string]string{"from": "2026-01-03", "to": "2026-01-04", "timezone": "Pacific/Auckland"},
			`o.placed_at >= '2026-01-02 11:00Z' and o.placed_at < '2026-01-04 11:00Z'`},
		{"from a day on", map[string]string{"from": "2026-01-05"}, `o.placed_at >= '2026-01-05'`},
		{"to a day", map[string]string{"to": "2026-01-03"}, `o.placed_at < '2026-01-04'`},
		{"of a day without orders", map[string]string{"from": "2026-02-01", "to": "2026-02-01"}, `false`},
		{"of a country", map[string]string{"country": "EIRE"}, `o.country = 'EIRE'`},
		{"of a currency", map[string]string{"currency": "EUR"}, `o.currency = 'EUR'`},
		{"from the first day that can be named", map[string]string{"from": "0001-01-01", "timezone": "Asia/Tokyo"}, `true`}, // begins in a year that Postgres calls 1 BC
		{"none at all", map[string]string{"country": "'; drop table orders; --"}, `false`},
	} {
		for _, format := range []string{"csv", "jsonl"} {
			t.Run(tc.name+" as "+format, func(t *testing.T) {
				content, made := o.make(orderLines(format, tc.params))
				wanted := o.wantedLines(tc.where)
				if diff := cmp.Diff(wanted, exported(t, format, content), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
				if format == "csv" && !strings.HasPrefix(string(content), orderLinesHeader) {
					t.Errorf("the first line is %.200q", content)
				}
				if made.Rows != int64(len(wanted)) || made.Artifact.Rows != made.Rows || made.Done != 1 {
					t.Errorf("report says %d rows, its manifest %d; want %d", made.Rows, made.Artifact.Rows, len(wanted))
				}
			})
		}
	}
	if n := o.number(`select max(parts) from artifacts`); n < 3 {
		t.Errorf("the largest artifact has %d parts: too few to prove anything", n)
	}
	o.wantSound()
}

func TestOrderLinesAsASpreadsheet(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 1_200) // more than one query's worth
	o.work("test")
	content, made := o.make(orderLines("xlsx", nil))
	book, err := excelize.OpenReader(bytes.NewReader(content))
	must(t, err)
	defer book.Close()
	rows, err := book.GetRows(book.GetSheetName(0), excelize.Options{RawCellValue: true})
	must(t, err)
	wanted := o.wantedLines(`true`)
	lines := rows[len(rows)-len(wanted):]
	for i, line := range lines {
		for _, column := range []int{0, 9, 11, 12, 13} {
			want := wanted[i][max(column-1, 0)]
			if column < len(line) && line[column] != want && column != 0 || line[0] != wanted[i][0] {
				t.Fatalf("row %d is %q, want %q", i, line, wanted[i])
			}
		}
	}
	if made.Rows != int64(len(wanted)) {
		t.Errorf("report says %d rows, want %d", made.Rows, len(wanted))
	}
	o.wantSound()
}

func TestJSONLIsTheJSONOfPostgres(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 5)
	o.work("test")
	content, _ := o.make(orderLines("jsonl", nil))
	for line := range strings.Lines(string(content)) {
		var values struct {
			LineNo    int    `json:"line_no"`
			UnitPrice string `json:"unit_price"`
			Amount    string `json:"amount"`
			Sku       string `json:"sku"`
		}
		if err := json.Unmarshal([]byte(line), &values); err != nil || values.UnitPrice == "" || values.Sku != fmt.Sprintf("SKU \"%d\"", values.LineNo) {
			t.Errorf("line %q: %v", line, err)
		}
	}
}

func TestArtifactsInTheDatabase(t *testing.T) {
	t.Parallel()
	o := newOfficeIn(t, "postgres:")
	o.process("A", 200)
	o.work("test")
	content, _ := o.make(orderLines("csv", nil))
	if diff := cmp.Diff(o.wantedLines(`true`), exported(t, "csv", content)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	o.wantSound()
}

// The lines of a period are found without reading the rest of history.
func TestAnExportReadsTheHistoryOfItsPeriod(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 150)
	watermark := int64(o.number(`select max(id) from order_transitions where to_status = 'processed'`) - 20) // some came later
	kind, err := report.TypeOf("order-lines")
	must(t, err)
	for _, tc := range []struct {
		name, from, to string
		where          string
	}{
		{"one day", "2026-01-03", "2026-01-03", `o.placed_at >= '2026-01-03' and o.placed_at < '2026-01-04'`},
		{"from a day on", "2026-01-05", "", `o.placed_at >= '2026-01-05'`},
	} {
		params := kind.NewParams().(*report.OrderLinesParams)
		params.From, params.To = tc.from, tc.to
		must(t, params.Complete())
		after, upto, err := kind.Export.Range(t.Context(), o.pool, params, watermark)
		must(t, err)
		const of = ` from order_transitions t join orders o on o.id = t.order_id where to_status = 'processed' and t.id <= $1 and `
		first, last := int64(o.number(`select min(t.id)`+of+tc.where, watermark)), int64(o.number(`select max(t.id)`+of+tc.where, watermark))
		if after != first-1 || upto != last {
			t.Errorf("%s: reads the transitions after %d up to %d, want %d and %d", tc.name, after, upto, first-1, last)
		}
	}
}

// A part costs what it holds, not what the tables hold, also when they have grown since they were analyzed.
func TestAPartOfAnExportIsFoundByKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	kind, err := report.TypeOf("order-lines")
	must(t, err)
	params := kind.NewParams()
	must(t, params.Complete())
	settings := kind.Export.Settings(params)
	settings["backoffice.after"], settings["backoffice.upto"] = "1000", "2000"
	plan := func(when string) {
		tx, err := o.pool.Begin(t.Context())
		must(t, err)
		defer tx.Rollback(t.Context())
		for name, value := range settings {
			_, err := tx.Exec(t.Context(), `select set_config($1, $2, true)`, name, value)
			must(t, err)
		}
		rows, err := tx.Query(t.Context(), "explain (costs off) "+kind.Export.Lines)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		text := strings.Join(lines, "\n")
		for _, want := range []string{"order_transitions_pkey", "orders_pkey", "order_lines_pkey"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the plan does without %s:\n%s", when, want, text)
			}
		}
		if strings.Contains(text, "Seq Scan on order") {
			t.Errorf("%s: the plan reads a whole table:\n%s", when, text)
		}
	}
	o.process("A", 1_000)
	o.exec(`analyze`)
	o.process("B", 9_000)
	plan("on stale statistics")
	o.exec(`analyze`)
	plan("on fresh statistics")
}
