package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"backoffice/internal/api"
	"backoffice/internal/report"
)

func TestWrongReportRequestsAreOneSentenceAndExitCode2(t *testing.T) {
	t.Parallel()
	taken := filepath.Join(t.TempDir(), "taken.csv")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		typed string
		words []string
	}{
		{"", []string{"wants --type NAME; there are", "order-lines"}},
		{"--type weather --format csv", []string{`type "weather" is unknown`, "order-lines"}},
		{"--type order-lines", []string{"wants --format FORMAT", "csv, jsonl"}},
		{"--type order-lines --format docx", []string{`format`, "docx"}},
		{"--type order-lines --format pdf", []string{`format "pdf" is not offered by order-lines`}},
		{"--type order-lines --format csv --by day", []string{`no parameter "by"`}},
		{"--type order-lines --format csv --param colour=red", []string{`no parameter "colour"`, "country"}},
		{"--type order-lines --format csv --param country", []string{`--param "country" is not NAME=VALUE`}},
		{"--type order-lines --format csv --param country=France --param country=Eire", []string{`parameter "country" is given twice`}},
		{"--type order-lines --format csv --from 2010-12-01 --param from=2010-12-02", []string{`parameter "from" is given twice`}},
		{"--type order-lines --format csv --from 2011-02-29", []string{"2011-02-29"}},
		{"--type order-lines --format csv --from 2011-05-31 --to 2010-12-01", []string{"from 2011-05-31 is after to 2010-12-01"}},
		{"--type order-lines --format csv --timezone Europe/Lodnon", []string{`"Europe/Lodnon"`}},
		{"--type order-lines --format csv --period last-year", []string{`"last-year"`, "last-month"}},
		{"--type order-lines --format csv --period yesterday --from 2010-12-01", []string{"--period yesterday decides what --from is"}},
		{"--type order-lines --format csv --out x.csv", []string{"--out x.csv goes with --wait"}},
		{"--type order-lines --format csv --wait --out " + taken, []string{"exists", "--overwrite"}},
		{"--type order-lines --format csv --wait --out /nowhere/x.csv", []string{"there is no folder /nowhere"}},
		{"--type order-lines --format csv --wait --out /", []string{"is a folder"}},
		{"--type order-lines --format csv --wait --out /dev/null --overwrite", []string{"is no ordinary file", "--out -"}},
		{"--type order-lines --format csv --wait --out - --output json", []string{"standard output"}},
		{"--type sales-summary --format pdf --from 2010-12-01 --to 2010-12-02 --param top=many", []string{"--param top=many: is no whole number"}},
	} {
		t.Run(tc.typed, func(t *testing.T) {
			t.Parallel()
			refused(t, backoffice(t, append([]string{"enqueue", "generate-report"}, strings.Fields(tc.typed)...)...), exitUsage, tc.words...)
		})
	}
}

func TestWrongReportCommands(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, tc := range []struct {
		typed string
		code  int
		words []string
	}{
		{"reports", exitUsage, []string{"reports wants a subcommand: list, show"}},
		{"reports show", exitUsage, []string{"reports show wants ID"}},
		{"reports show x", exitUsage, []string{`"x" is no id`}},
		{"reports show 99", exitFailed, []string{"report 99 does not exist"}},
		{"reports cancel 99", exitFailed, []string{"report 99 does not exist"}},
		{"reports download 99", exitFailed, []string{"report 99 does not exist"}},
		{"reports list --limit 1001", exitUsage, []string{"--limit 1001 is out of range"}},
		{"reports list --status done", exitUsage, []string{`status "done" is unknown`}},
		{"reports list --type weather", exitUsage, []string{`type "weather" is unknown`}},
		{"reports types now", exitUsage, []string{"takes no argument"}},
		{"enqueue generate-report --type order-lines --format csv --from 2999-01-01 --to 2999-02-01", exitUsage, []string{"2999-01-01"}},
		{"enqueue --kind generate_report --args {\"type\":\"weather\",\"format\":\"csv\"}", exitUsage, []string{`type "weather" is unknown`}},
	} {
		t.Run(tc.typed, func(t *testing.T) {
			t.Parallel()
			refused(t, s.try(strings.Fields(tc.typed)...), tc.code, tc.words...)
		})
	}
	if n := s.number(`select (select count(*) from reports) + (select count(*) from river_job)`); n != 0 {
		t.Errorf("%d rows were written, want none", n)
	}
}

// generate is the command line of a report of every order line as csv.
func generate(more ...string) []string {
	return append([]string{"enqueue", "generate-report", "--type", "order-lines", "--format", "csv"}, more...)
}

func TestReportIsWaitedForAndWritten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(50)
	s.text("worker", "--once")
	defer s.startWorker()()
	file := filepath.Join(t.TempDir(), "lines.csv")
	printed := s.text(generate("--wait", "--out", file)...)
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(written)
	contains(t, printed, file, " rows, ", "sha256 "+hex.EncodeToString(sum[:]))
	lines := s.number(`select count(*) from order_lines join orders o on o.id = order_id where o.status = 'processed'`)
	if got := strings.Count(string(written), "\n") - 1; got != lines {
		t.Errorf("%d lines in the file, want %d", got, lines)
	}
	if left := entries(t, filepath.Dir(file)); fmt.Sprint(left) != "[lines.csv]" {
		t.Errorf("the folder holds %v", left)
	}

	contains(t, s.text(generate()...), "report 1 has the same data; --force makes a new one")
	r := s.try(generate("--wait", "--out", "-")...)
	if r.code != exitOK || r.stdout != string(written) {
		t.Errorf("to standard output: %d, %d bytes: %s", r.code, len(r.stdout), r.stderr)
	}
	contains(t, r.stderr, "report 1 has the same data")
	var forced askedReport
	s.json(&forced, generate("--wait", "--force")...)
	if forced.ID == 1 || forced.Existing || forced.Status != "completed" || forced.Manifest.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("forced: %+v", forced)
	}
	contains(t, s.text("reports", "show", "1"), "order-lines, version 1", "completed", hex.EncodeToString(sum[:]), "watermark", "expires_at")
	contains(t, s.text("reports", "list"), "ID", "order-lines", "completed", "100%")
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

func TestDownloadIsCompleteOrAbsent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(20)
	s.text("worker", "--once")
	contains(t, s.text(generate()...), "report 1 (order-lines, csv) is queued as job ")
	contains(t, s.text(generate()...), "report 1 is the same and is queued")
	refused(t, s.try("reports", "download", "1"), exitFailed, "report 1", "queued")
	s.text("worker", "--once")
	dir := t.TempDir()
	file := filepath.Join(dir, "lines.csv")
	var told downloaded
	s.json(&told, "reports", "download", "1", "--out", file)
	whole, err := os.ReadFile(file)
	if err != nil || int64(len(whole)) != told.Bytes {
		t.Fatalf("%d bytes, %v; told %+v", len(whole), err, told)
	}
	refused(t, s.try("reports", "download", "1", "--out", file), exitUsage, "exists", "--overwrite")
	s.text("reports", "download", "1", "--out", file, "--overwrite")
	link := filepath.Join(t.TempDir(), "latest.csv")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	s.text("reports", "download", "1", "--out", link, "--overwrite")
	if kind, err := os.Lstat(link); err != nil || kind.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become %v, %v", kind.Mode(), err)
	}
	lost := filepath.Join(t.TempDir(), "lost.csv")
	if err := os.Symlink(filepath.Join(dir, "nothing"), lost); err != nil {
		t.Fatal(err)
	}
	refused(t, s.try("reports", "download", "1", "--out", lost), exitUsage, "leads to nothing")

	s.exec(`update stored_chunks set content = overlay(content placing '\x58'::bytea from 20)`)
	refused(t, s.try("reports", "download", "1", "--out", filepath.Join(dir, "damaged.csv")), exitFailed, "report 1 is damaged", "--force")
	refused(t, s.try("reports", "download", "1", "--out", file, "--overwrite"), exitFailed, "report 1 is damaged")
	if kept, err := os.ReadFile(file); err != nil || string(kept) != string(whole) {
		t.Errorf("the file that was there before has changed: %v", err)
	}
	if left := entries(t, dir); fmt.Sprint(left) != "[lines.csv]" {
		t.Errorf("the folder holds %v", left)
	}

	s.exec(`update artifact_parts set location = replace(location, 'postgres:', 'file:')`)
	refused(t, s.try("reports", "download", "1", "--out", filepath.Join(dir, "elsewhere.csv")), exitFailed, "--store")
	s.exec(`update artifacts set deleting_at = now()`)
	s.exec(`update reports set expired_at = now()`)
	refused(t, s.try("reports", "download", "1", "--out", filepath.Join(dir, "expired.csv")), exitFailed, "report 1", "after its retention")
	contains(t, s.text("reports", "list"), "expired ")
}

func TestReportsInFilesWantTheirStore(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(20)
	s.text("worker", "--once")
	s.text(generate()...)
	root, dir := "file://"+t.TempDir(), t.TempDir()
	s.text("worker", "--once", "--store", root)
	refused(t, s.try("reports", "download", "1", "--out", filepath.Join(dir, "x.csv")), exitFailed, "--store")
	s.text("reports", "download", "1", "--out", filepath.Join(dir, "lines.csv"), "--store", root)
	if left := entries(t, dir); fmt.Sprint(left) != "[lines.csv]" {
		t.Errorf("the folder holds %v", left)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for _, reading := range [][]string{{"reports", "download", "1"}, {"verify"}, generate("--wait", "--out", filepath.Join(dir, "new.csv"), "--force")} {
		refused(t, s.try(append(reading, "--store", "file://"+missing)...), exitFailed, "--store file://"+missing, "no worker process keeps anything there")
		refused(t, s.try(append(reading, "--store", "file://"+t.TempDir())...), exitFailed, "no worker process keeps anything there")
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a command that only reads has made the store")
	}
	refused(t, s.try("reports", "download", "1", "--store", "s3://bucket"), exitUsage, `--store "s3://bucket" names no store`)
}

func (s shop) word(sql string) (word string) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), sql).Scan(&word); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return word
}

func TestParametersTakeCommas(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text(generate("--param", "country=Korea, Republic of", "--param", "currency=EUR", "--period", "last-month", "--timezone", "Asia/Seoul")...)
	if got := s.word(`select params ->> 'country' || ' ' || (params ->> 'currency') || ' ' || (params ->> 'timezone') || ' ' || right(params ->> 'from', 2) from reports`); got != "Korea, Republic of EUR Asia/Seoul 01" {
		t.Errorf("params = %q", got)
	}
	s.text(generate("--period", "last-month", "--param", "timezone=Asia/Seoul")...) // a flag may be given so, too
	if got := s.word(`select string_agg(distinct params ->> 'timezone', ' ') from reports`); got != "Asia/Seoul" {
		t.Errorf("timezones = %q", got)
	}
}

func TestReportTypesAreExplained(t *testing.T) {
	t.Parallel()
	text := backoffice(t, "reports", "types").stdout
	contains(t, text, "order-lines: ", "formats: csv, jsonl, xlsx", "PARAMETER", "timezone", "UTC", "sales-summary: ", "(needed)", "month")
	for _, kind := range report.Types() {
		for _, p := range api.TypeOfReport(kind).Params {
			if p.About == "" {
				t.Errorf("parameter %s of %s is not explained", p.Name, kind.Name)
			}
		}
	}
}
