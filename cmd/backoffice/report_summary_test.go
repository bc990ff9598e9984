package main

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
)

// summaryReaders read a sales summary back in each of its formats, without a line of the code that wrote it.
// They answer the net of each line by its name, "" for all.
var summaryReaders = map[string]func(s shop, file string) map[string]string{
	"csv": summaryFromCSV, "jsonl": summaryFromJSONL, "xlsx": summaryFromXLSX, "pdf": summaryFromPDF, "html": summaryFromHTML,
}

func TestSalesSummaryOfTheRealFileComesToItsPublishedTotals(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.importRealFile()
	s.text("worker", "--once", "--log-level", "error")
	s.wantSummary(publishedTotals, "2010-12-01", "2011-05-31")
}

// TestSalesSummaryIsTheSameInEveryFormat has amounts with three decimals, returns, skus that differ in one
// letter's case, and orders around the midnights of London.
func TestSalesSummaryIsTheSameInEveryFormat(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.importText(`number,sku,description,quantity,placed_at,unit_price,country
1,85123A,"HANGING ""HEART""",6,2011-03-31 23:59,2.55,United Kingdom
2,85123a,"Heart, hanging",600000,2011-04-01 00:00,0.001,EIRE
C3,85123A,"HANGING ""HEART""",-1,2011-04-01 00:00,2.55,United Kingdom
4,22423,<b>CAKESTAND</b> 3,12,2011-05-31 23:59,1234.56,Österreich
5,22423,<b>CAKESTAND</b> 3,1,2011-06-01 00:00,1000,Österreich
`)
	s.text("worker", "--once", "--log-level", "error")
	s.wantSummary(map[string]string{"": "15427.47", "2011-03": "15.3", "2011-04": "597.45", "2011-05": "14814.72",
		"United Kingdom": "12.75", "EIRE": "600", "Österreich": "14814.72", "85123A": "12.75", "85123a": "600", "22423": "14814.72"}, "2011-03-01", "2011-05-31")
}

func (s shop) importText(text string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "orders.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.text("orders", "import", file, "--credit-prefix", "C", "--timezone", "Europe/London")
}

// wantSummary makes a sales summary in every format and compares the figures that are wanted.
func (s shop) wantSummary(want map[string]string, from, to string) {
	s.t.Helper()
	s.startWorker()
	for format, read := range summaryReaders {
		s.t.Run(format, func(t *testing.T) {
			s := shop{t: t, url: s.url, pool: s.pool}
			file := filepath.Join(t.TempDir(), "summary."+format)
			s.text("enqueue", "generate-report", "--type", "sales-summary", "--format", format,
				"--from", from, "--to", to, "--timezone", "Europe/London", "--wait", "--out", file)
			found := read(s, file)
			got := map[string]string{}
			for name := range want {
				got[name] = found[name]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("net (-wanted +read):\n%s", diff)
			}
		})
	}
}

// plainAmount writes an amount that was made for people as programs do.
func plainAmount(shown string) string {
	amount, err := decimal.NewFromString(strings.NewReplacer(",", "", "−", "-").Replace(strings.TrimSpace(shown)))
	if err != nil {
		return "not an amount: " + shown
	}
	return amount.String()
}

// printedBy runs a program of the machine, or skips the test where it is not installed.
func (s shop) printedBy(program string, args ...string) string {
	s.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		s.t.Skipf("no %s is installed; on Debian: apt-get install poppler-utils postgresql-client", program)
	}
	printed, err := exec.CommandContext(s.t.Context(), path, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", program, err, printed)
	}
	return string(printed)
}

func summaryFromCSV(s shop, file string) map[string]string {
	printed := s.printedBy("psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--quiet", "--tuples-only", "--no-align", "--dbname", s.url,
		"--command", `create temporary table summary (section text, name text, description text, currency text, orders bigint, credits bigint,
			units bigint, sales numeric, returns numeric, net numeric, average_order_value numeric)`,
		"--command", fmt.Sprintf(`\copy summary from '%s' with (format csv, header match)`, file),
		"--command", `select case section when 'total' then '' else name end || '|' || trim_scale(net) from summary`)
	found := map[string]string{}
	for line := range strings.Lines(printed) {
		name, net, _ := strings.Cut(strings.TrimSpace(line), "|")
		found[name] = net
	}
	return found
}

func summaryFromJSONL(s shop, file string) map[string]string {
	found := map[string]string{}
	content, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var row struct{ Section, Name, Net string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		if row.Section == "total" {
			row.Name = ""
		}
		found[row.Name] = row.Net
	}
	return found
}

func summaryFromXLSX(s shop, file string) map[string]string {
	book, err := excelize.OpenFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer book.Close()
	found := map[string]string{}
	for _, sheet := range book.GetSheetList() {
		rows, err := book.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil {
			s.t.Fatal(err)
		}
		net := -1
		for _, row := range rows {
			if net >= 0 && len(row) > net {
				found[nameOfLine(row[0])] = plainAmount(row[net])
			}
			for i, cell := range row {
				if cell == "Net" {
					net = i
				}
			}
		}
	}
	return found
}

// nameOfLine is empty for the line of totals.
func nameOfLine(name string) string {
	if name == "Total" {
		return ""
	}
	return name
}

var (
	// A line of a table ends with seven figures, of which net is the last but one; its name ends where the
	// next column begins.
	pdfLine = regexp.MustCompile(`(?m)^\s*(\S+(?: \S+)*)\s{2,}.*?(?:[−\d,.]+\s+){5}([−\d,.]+)\s+[\d,.–]+$`)

	htmlRow  = regexp.MustCompile(`(?s)<tr[^>]*>(.*?)</tr>`)
	htmlCell = regexp.MustCompile(`(?s)<t[dh][^>]*>(.*?)</t[dh]>`)
	htmlTag  = regexp.MustCompile(`<[^>]*>`)
)

func summaryFromPDF(s shop, file string) map[string]string {
	found := map[string]string{}
	for _, line := range pdfLine.FindAllStringSubmatch(s.printedBy("pdftotext", "-layout", file, "-"), -1) {
		found[nameOfLine(line[1])] = plainAmount(line[2])
	}
	return found
}

func summaryFromHTML(s shop, file string) map[string]string {
	content, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[string]string{}
	for _, row := range htmlRow.FindAllStringSubmatch(string(content), -1) {
		var cells []string
		for _, cell := range htmlCell.FindAllStringSubmatch(row[1], -1) {
			cells = append(cells, strings.TrimSpace(html.UnescapeString(htmlTag.ReplaceAllString(cell[1], ""))))
		}
		if len(cells) >= 7 {
			found[nameOfLine(cells[0])] = plainAmount(cells[len(cells)-2])
		}
	}
	return found
}
