package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/jobs"
)

var reportScenario = Scenario{
	Name:    "report",
	Summary: "export order lines to files, next to one psql \\copy of the same query to a file",
	Prepare: prepareReport,
}

// rowsPerSecond is the figure of reports and of cleanup.
const rowsPerSecond = "rows/s"

const (
	exportName = "order-lines, csv"
	sheetName  = "order-lines, xlsx"
	psqlName   = `psql \copy`

	peakMemory      = "peak MB"
	longestSnapshot = "longest snapshot s"

	// mostSheetRows is the most lines that are exported as a spreadsheet as well: what fits into one sheet.
	mostSheetRows = 1_048_575
)

func prepareReport(ctx context.Context, lab *Lab) (*Plan, error) {
	template, err := lab.lines(ctx)
	if err != nil {
		return nil, err
	}
	sums := &sameBytes{}
	csvLimits, sheetLimits := Figures{peakMemory: 150, longestSnapshot: 10}, Figures{peakMemory: 300, longestSnapshot: 10}
	plan := &Plan{
		Contestants: []Contestant{
			{Name: exportName, Template: template, Run: lab.runReport("csv", sums), Detail: "a worker process: parts, checksums, fence and publication; from the report's start to its completion"},
			{Name: psqlName, Template: template, Run: lab.runCopy(sums), Detail: "the same query in one statement, from the start of psql to its end; not synced"},
			limited("limits of csv", csvLimits),
		},
		Ratios: append([]Ratio{{What: "psql \\copy", Of: exportName, Against: psqlName, Figure: rowsPerSecond, AtLeast: 0.8}},
			roomBelow(csvLimits, exportName, "limits of csv")...),
	}
	if lab.lineCount() <= mostSheetRows {
		plan.Contestants = append(plan.Contestants, limited("limits of xlsx", sheetLimits),
			Contestant{Name: sheetName, Template: template, Run: lab.runReport("xlsx", nil), Detail: "the same lines as a spreadsheet"})
		plan.Ratios = append(plan.Ratios, roomBelow(sheetLimits, sheetName, "limits of xlsx")...)
	}
	return plan, nil
}

// limited is a contestant whose figures are what others must stay below.
func limited(name string, limits Figures) Contestant {
	return Contestant{Name: name, Detail: "what is allowed", Run: func(context.Context, *Database) (Figures, error) { return limits, nil }}
}

// roomBelow compares a contestant with its limits.
func roomBelow(limits Figures, of, against string) (ratios []Ratio) {
	for _, figure := range limits.names() {
		ratios = append(ratios, Ratio{What: "room below the limit of " + figure, Of: of, Against: against, Figure: figure, LowerIsBetter: true, AtLeast: 1})
	}
	return ratios
}

// runReport has a worker process make one report.
func (l *Lab) runReport(format string, sums *sameBytes) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (figures Figures, err error) {
		dir, err := os.MkdirTemp(l.Dir(), "artifacts-")
		if err != nil {
			return nil, fmt.Errorf("make a directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		worker, err := l.startLasting(ctx, db, func(passage) {}, "worker", "--queue", "reports", "--store", "file://"+dir)
		if err != nil {
			return nil, err
		}
		watched := watchSnapshots(ctx, db)
		made, err := makeReport(ctx, db, format)
		longest, blind := watched()
		peak, noPeak := peakBytes(worker.pid())
		if err = errors.Join(err, blind, noPeak, worker.stop()); err != nil {
			return nil, err
		}
		if made.Rows != int64(l.lineCount()) {
			return nil, fmt.Errorf("the report has %d rows, not %d", made.Rows, l.lineCount())
		}
		figures = Figures{rowsPerSecond: float64(made.Rows) / made.Artifact.Took.Seconds(), "MB/s": float64(made.Bytes) / 1e6 / made.Artifact.Took.Seconds(),
			"parts": float64(made.Artifact.Parts), peakMemory: float64(peak) / 1e6, longestSnapshot: longest.Seconds()}
		return figures, checkReport(ctx, db, dir, made, sums)
	}
}

// makeReport asks for an export of all order lines and waits until it is complete.
func makeReport(ctx context.Context, db *Database, format string) (made report.Report, err error) {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return made, err
	}
	var asked report.Requested
	err = postgres.InTx(ctx, db.Pool, func(tx pgx.Tx) (err error) {
		asked, err = report.Request(ctx, tx, inserter, jobs.GenerateReportArgs{Type: "order-lines", Format: format, Force: true}, time.Now())
		return err
	})
	if err != nil {
		return made, err
	}
	return awaitReport(ctx, db, asked.Report.ID)
}

// awaitReport waits until a report is complete.
func awaitReport(ctx context.Context, db *Database, id int64) (report.Report, error) {
	const every = 50 * time.Millisecond
	for {
		made, err := report.Get(ctx, db.Pool, id)
		switch {
		case err != nil:
			return made, err
		case made.Status == report.StatusCompleted:
			return made, nil
		case made.Status.Final():
			return made, fmt.Errorf("report %d is %s: %s", id, made.Status, made.Error)
		}
		if err := pause(ctx, every); err != nil {
			return made, err
		}
	}
}

// checkReport reads what was stored and compares it with the manifest and with what others have exported.
func checkReport(ctx context.Context, db *Database, dir string, made report.Report, sums *sameBytes) (err error) {
	stores, err := store.Open(ctx, "file://"+dir, db.Pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	content, manifest, err := report.Open(ctx, db.Pool, stores, made.ID, 0)
	if err != nil {
		return err
	}
	defer content.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != manifest.SHA256 {
		return fmt.Errorf("the stored bytes have the checksum %s, and the manifest says %s", got, manifest.SHA256)
	}
	if sums == nil {
		return nil
	}
	return sums.check(manifest.SHA256)
}

// sameBytes holds all runs to the bytes of the first.
type sameBytes struct {
	mu  sync.Mutex
	sum string
}

func (s *sameBytes) check(sum string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sum == "" {
		s.sum = sum
	}
	if s.sum != sum {
		return fmt.Errorf("the bytes have the checksum %s, and those of another run %s", sum, s.sum)
	}
	return nil
}

// runCopy has psql run the export's query as one statement.
func (l *Lab) runCopy(sums *sameBytes) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		kind, err := report.TypeOf("order-lines")
		if err != nil {
			return nil, err
		}
		var upto int64
		if err := db.Pool.QueryRow(ctx, `select /* bench.runCopy */ max(id) from order_transitions`).Scan(&upto); err != nil {
			return nil, fmt.Errorf("read the last transition: %w", err)
		}
		to := filepath.Join(l.Dir(), "lines.csv")
		psql, err := l.psql(ctx, db, fmt.Sprintf(`\copy (%s) to '%s' csv header`, strings.Join(strings.Fields(kind.Export.Lines), " "), strings.ReplaceAll(to, "'", "''")))
		if err != nil {
			return nil, err
		}
		options := []string{"-c backoffice.after=0", fmt.Sprintf("-c backoffice.upto=%d", upto), "-c timezone=UTC"}
		params := kind.NewParams()
		if err := params.Complete(); err != nil {
			return nil, err
		}
		for name, value := range kind.Export.Settings(params) {
			options = append(options, "-c "+name+"="+value)
		}
		psql.Env = append(psql.Env, "PGOPTIONS="+strings.Join(options, " "))
		var stderr bytes.Buffer
		psql.Stderr = &stderr
		began := time.Now()
		if err := psql.Run(); err != nil {
			return nil, fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(stderr.String()))
		}
		took := time.Since(began)
		return Figures{rowsPerSecond: float64(l.lineCount()) / took.Seconds()}, errors.Join(checkFile(to, sums), os.Remove(to))
	}
}

func checkFile(path string, sums *sameBytes) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	return sums.check(hex.EncodeToString(sum.Sum(nil)))
}
