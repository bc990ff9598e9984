package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/api"
	"backoffice/internal/audit"
	"backoffice/internal/queue"
	"backoffice/internal/report"
)

func reportsCommand() *cli.Command {
	return &cli.Command{
		Name:  "reports",
		Usage: "look at reports, download one, cancel one",
		Description: `  backoffice reports types
  backoffice reports list --status running
  backoffice reports download 41 --out may.pdf

To ask for one, see backoffice enqueue generate-report.`,
		Subcommands: []*cli.Command{reportsListCommand(), reportsShowCommand(), reportsDownloadCommand(), reportsCancelCommand(), reportsTypesCommand()},
	}
}

func reportsListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list reports, the newest first",
		Description: `  backoffice reports list --type sales-summary --limit 10
  backoffice reports list --status failed
  backoffice reports list --after 1200        the page after the one that ended with id 1200`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "type", EnvVars: []string{"BACKOFFICE_REPORT_TYPE"}, Usage: "only reports of the type of this `NAME`"},
			&cli.StringFlag{Name: "status", EnvVars: []string{"BACKOFFICE_REPORT_STATUS"}, Usage: "only reports of this `STATUS`: queued, running, completed, failed or cancelled"},
			&cli.Int64Flag{Name: "after", EnvVars: []string{"BACKOFFICE_AFTER"}, DefaultText: "from the newest", Usage: "`ID` that the page before ended with"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: report.DefaultLimit, Usage: "how many `ROWS` at most, up to 1000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, report.MaxLimit); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error { return listReports(c, pool) })
		},
	}
}

func listReports(c *cli.Context, pool *pgxpool.Pool) error {
	found, err := report.List(c.Context, pool, report.Filter{
		Type: c.String("type"), Status: report.Status(c.String("status")), After: c.Int64("after"), Limit: c.Int("limit"),
	})
	if errors.Is(err, report.ErrInvalid) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	var shown []api.Report
	t := newTable(">ID", "TYPE", "FORMAT", "STATUS", ">DONE", ">ROWS", ">SIZE", "REQUESTED_AT", "FINISHED_AT", "NOTE")
	for _, r := range found {
		shown = append(shown, api.ReportOf(r))
		t.add(r.ID, r.Type, r.Format, r.Status, fmt.Sprintf("%.0f%%", 100*r.Done), thousands(r.Rows), bytesOf(r.Bytes),
			r.RequestedAt, r.FinishedAt, brief(noteOf(r), 80))
	}
	return printRows(c, shown, t, "no such reports")
}

// noteOf is what else there is to say of a report.
func noteOf(r report.Report) string {
	switch {
	case r.Error != "":
		return r.Error
	case r.ExpiredAt != nil:
		return "expired " + instant(*r.ExpiredAt)
	case r.ETA != nil:
		return "about " + r.ETA.Round(time.Second).String() + " left"
	}
	return ""
}

func reportsShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show one report: how far it is, and its manifest once it is complete",
		ArgsUsage: "ID",
		Description: `  backoffice reports show 41
  backoffice reports show 41 --output json`,
		Action: func(c *cli.Context) error {
			return withReport(c, func(pool *pgxpool.Pool, id int64) error {
				found, err := report.Get(c.Context, pool, id)
				if err != nil {
					return err
				}
				return printReport(c, found)
			})
		},
	}
}

// withReport runs a command on the report that its argument names.
func withReport(c *cli.Context, command func(pool *pgxpool.Pool, id int64) error) error {
	id, err := idArg(c.Args().First())
	if err != nil {
		return err
	}
	return withPool(c, func(pool *pgxpool.Pool) error { return command(pool, id) })
}

func printReport(c *cli.Context, r report.Report) error {
	if wantsJSON(c) {
		return printJSON(c, api.ReportOf(r))
	}
	t := newTable("", "")
	t.add("id", r.ID)
	t.add("type", fmt.Sprintf("%s, version %d", r.Type, r.Version))
	t.add("format", r.Format)
	t.add("status", r.Status)
	t.add("params", string(r.Params))
	t.add("job", r.JobID)
	t.add("requested_at", r.RequestedAt)
	t.add("started_at", orElse(cell(r.StartedAt), "not yet"))
	t.add("finished_at", orElse(cell(r.FinishedAt), "not yet"))
	t.add("done", reportLine(r, false))
	if r.Error != "" {
		t.add("error", r.Error)
	}
	if r.ExpiredAt != nil {
		t.add("expired_at", r.ExpiredAt)
	}
	if m := r.Artifact; m != nil {
		t.add("file_name", m.FileName)
		t.add("content_type", m.ContentType)
		t.add("rows", thousands(m.Rows))
		t.add("bytes", thousands(m.Bytes))
		t.add("sha256", m.SHA256)
		t.add("parts", m.Parts)
		t.add("watermark", m.Watermark)
		t.add("took", m.Took.Round(time.Millisecond))
		t.add("expires_at", m.ExpiresAt)
	}
	return t.printPlain(c.App.Writer)
}

func reportsCancelCommand() *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "cancel a report that is not finished, with its job",
		ArgsUsage: "ID",
		Description: `Work on it stops within a second, and nothing of it can be downloaded.

  backoffice reports cancel 41`,
		Action: func(c *cli.Context) error {
			return withReport(c, func(pool *pgxpool.Pool, id int64) error {
				client, err := queue.NewInserter(pool)
				if err != nil {
					return err
				}
				var cancelled report.Report
				err = operate(c, pool, &audit.Action{Action: "cancel_report", Target: fmt.Sprintf("report %d", id)}, func(tx pgx.Tx) (err error) {
					cancelled, err = report.Cancel(c.Context, tx, client, id, time.Now())
					return err
				})
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, api.ReportOf(cancelled))
				}
				return printf(c, "report %d is cancelled\n", id)
			})
		},
	}
}

func reportsTypesCommand() *cli.Command {
	return &cli.Command{
		Name:        "types",
		Usage:       "list the types of report, their formats and parameters",
		Description: "  backoffice reports types",
		Action: func(c *cli.Context) error {
			var shown []api.ReportType
			for _, t := range report.Types() {
				shown = append(shown, api.TypeOfReport(t))
			}
			if wantsJSON(c) {
				return printJSON(c, shown)
			}
			return printReportTypes(c, shown)
		},
	}
}

func printReportTypes(c *cli.Context, types []api.ReportType) error {
	for n, t := range types {
		if n > 0 {
			if err := printf(c, "\n"); err != nil {
				return err
			}
		}
		if err := printf(c, "%s: %s\nformats: %s\n", t.Name, t.About, strings.Join(t.Formats, ", ")); err != nil {
			return err
		}
		params := newTable("PARAMETER", "TYPE", "DEFAULT", "MEANING")
		for _, p := range t.Params {
			params.add(p.Name, p.Type, defaultOf(p), p.About)
		}
		if err := params.print(c.App.Writer, "  ", "no parameters"); err != nil {
			return err
		}
	}
	return nil
}

// defaultOf is what a parameter is when it is left out.
func defaultOf(p api.ReportParam) string {
	if p.Needed {
		return "(needed)"
	}
	if text, ok := p.Default.(string); ok || p.Default == nil {
		return text
	}
	encoded, err := json.Marshal(p.Default)
	if err != nil { // it came out of JSON
		return fmt.Sprint(p.Default)
	}
	return string(encoded)
}
