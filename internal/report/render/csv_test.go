package render_test

import (
	"context"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/report/render"
)

var (
	hardTexts = []any{
		nil, "", "plain", "a,b", `say "yes"`, "two\nlines", "carriage\rreturn", " leading and trailing ", `\.`, `\N`, "NULL", "null", `"`, "'", "=1+1", "@SUM(A1)", "-2",
		"007", "1e5", "_x0041_", "ünïcödé 株式会社 €", "tab\there", "<b>&amp;</b>", "\u2028", "ends in a comma,",
	}
	allColumns = []render.Column{
		{Name: "text", Type: render.Text}, {Name: "count", Type: render.Integer}, {Name: "money", Type: render.Money}, {Name: "ratio", Type: render.Ratio},
		{Name: "day", Type: render.Date}, {Name: "at", Type: render.Instant}, {Name: "took", Type: render.Seconds},
	}
	at      = time.Date(2010, time.December, 1, 8, 26, 3, 120_000_000, time.FixedZone("", 3600))
	allRows = [][]any{
		{"x", int64(-3), amount("3706827.641"), 0.125, render.DayOf(at), at, int64(90)},
		{"y", int64(1 << 62), amount("-0.0010"), amount("0.3333333333333333333"), render.Day{Year: 1899, Month: time.January, Day: 2}, made, 0.25},
		{nil, nil, nil, nil, nil, nil, nil},
		{"z", int64(0), amount("100.00"), 0.0, render.Day{Year: 2012, Month: time.February, Day: 29}, time.Date(2012, 2, 29, 23, 59, 59, 999_999_000, time.UTC), amount("1.50")},
	}
)

func texts(values []any) *render.Document {
	var rows [][]any
	for i, value := range values {
		rows = append(rows, []any{int64(i), value, value})
	}
	return single([]render.Column{{Name: "n", Type: render.Integer}, {Name: "a", Type: render.Text}, {Name: "b", Type: render.Text}}, rows...)
}

func TestCSVIsWhatPostgresReadsAndWrites(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, table string
		doc         *render.Document
	}{
		{"texts, null and the empty string", "n bigint, a text, b text", texts(hardTexts)},
		{"a text alone in its line", "a text", single([]render.Column{{Name: "a", Type: render.Text}}, []any{`\.`}, []any{""}, []any{"x"}, []any{"a,b"})},
		{"every type", "text text, count bigint, money numeric, ratio numeric, day date, at timestamptz, took numeric", single(allColumns, allRows...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.EmptyURL(t)
			dir := t.TempDir()
			in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv")
			content := written(t, render.FormatCSV, tc.doc)
			if err := os.WriteFile(in, content, 0o600); err != nil {
				t.Fatal(err)
			}
			psql(t, url, "create table rows (row_no bigint generated always as identity, "+tc.table+")")
			var names []string
			for _, c := range tc.doc.Sections[0].Columns {
				names = append(names, c.Name)
			}
			columns := strings.Join(names, ", ")
			psql(t, url, `\copy rows (`+columns+`) from '`+in+`' csv header`)
			if strings.Contains(tc.table, "timestamptz") { // Postgres writes instants in a form of its own
				columns = strings.ReplaceAll(columns, "at, took", `replace(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || 'Z', '.000000Z', 'Z') at, took`)
			}
			psql(t, url, `\copy (select `+columns+` from rows order by row_no) to '`+out+`' csv header`)
			back, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer(".12Z", ".120000Z").Replace(string(content))
			if diff := cmp.Diff(want, string(back)); diff != "" {
				t.Errorf("written (-) and back from Postgres (+):\n%s", diff)
			}
		})
	}
}

func TestPostgresReadsEveryTextOfACSV(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	file := filepath.Join(t.TempDir(), "in.csv")
	if err := os.WriteFile(file, written(t, render.FormatCSV, texts(hardTexts)), 0o600); err != nil {
		t.Fatal(err)
	}
	psql(t, url, "create table rows (n bigint, a text, b text)")
	psql(t, url, `\copy rows from '`+file+`' csv header`)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for i, want := range hardTexts {
		var a, b any
		if err := conn.QueryRow(t.Context(), "select a, b from rows where n = $1", i).Scan(&a, &b); err != nil {
			t.Fatal(err)
		}
		if a != want || b != want {
			t.Errorf("%q reads as %q and %q", want, a, b)
		}
	}
}

// psql runs one command, or skips the test where no psql is installed.
func psql(t *testing.T, url, command string) {
	t.Helper()
	program, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("no psql is installed; on Debian: apt-get install postgresql-client")
	}
	run := exec.CommandContext(t.Context(), program, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url, "--command", command)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("psql %s: %v: %s", command, err, out)
	}
}

func TestCSVOfSeveralSectionsIsOneTable(t *testing.T) {
	t.Parallel()
	lines, err := csv.NewReader(strings.NewReader(string(written(t, render.FormatCSV, salesSummary())))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"section", "key", "orders", "units", "returns", "net", "average", "share"}; !cmp.Equal(lines[0], want) {
		t.Errorf("header = %v, want %v", lines[0], want)
	}
	if len(lines) != 1+6+9 || lines[1][0] != "period" || lines[7][0] != "country" || lines[7][5] != "3117720.121" || lines[1][5] != "748957.02" {
		t.Errorf("%d lines: %v, %v", len(lines), lines[1], lines[7])
	}
}
