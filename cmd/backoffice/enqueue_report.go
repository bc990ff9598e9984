package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/api"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/jobs"
)

// reportParamFlags are the parameters that have a flag of their own, because most types have them.
var reportParamFlags = []string{"from", "to", "timezone", "by"}

func enqueueGenerateReportCommand() *cli.Command {
	return &cli.Command{
		Name:  "generate-report",
		Usage: "ask for one report",
		Description: `Everything is checked before anything is written. If the same report is at work, or
complete and of the same data, it is the answer. See backoffice reports types.

  backoffice enqueue generate-report --type sales-summary --from 2010-12-01 --to 2011-05-31 --format pdf
  backoffice enqueue generate-report --type sales-summary --period last-month --timezone Europe/London --format xlsx --wait --out may.xlsx
  backoffice enqueue generate-report --type order-lines --format csv --param country=France --wait --out lines.csv`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "type", EnvVars: []string{"BACKOFFICE_REPORT_TYPE"}, Usage: "`NAME` of the type of report; see backoffice reports types"},
			&cli.StringFlag{Name: "format", EnvVars: []string{"BACKOFFICE_REPORT_FORMAT"}, Usage: "`FORMAT` that the type offers: csv, jsonl, xlsx, pdf or html"},
			&cli.StringFlag{Name: "from", EnvVars: []string{"BACKOFFICE_REPORT_FROM"}, Usage: "first `DAY`, such as 2010-12-01"},
			&cli.StringFlag{Name: "to", EnvVars: []string{"BACKOFFICE_REPORT_TO"}, Usage: "last `DAY`, such as 2011-05-31"},
			&cli.StringFlag{Name: "period", EnvVars: []string{"BACKOFFICE_REPORT_PERIOD"}, Usage: "`PERIOD` in place of --from and --to: yesterday, last-week or last-month"},
			&cli.StringFlag{Name: "timezone", EnvVars: []string{"BACKOFFICE_REPORT_TIMEZONE"}, Usage: "`ZONE` whose days they are, such as Europe/London (default: UTC)"},
			&cli.StringFlag{Name: "by", EnvVars: []string{"BACKOFFICE_REPORT_BY"}, Usage: "`UNIT` that a row is: day, week or month"},
			&cli.GenericFlag{Name: "param", EnvVars: []string{"BACKOFFICE_REPORT_PARAM"}, Value: &texts{}, Usage: "`NAME=VALUE` of another parameter of the type; repeatable"},
			&cli.BoolFlag{Name: "force", EnvVars: []string{"BACKOFFICE_REPORT_FORCE"}, Usage: "make it although the same report of the same data exists"},
			&cli.BoolFlag{Name: "wait", EnvVars: []string{"BACKOFFICE_ENQUEUE_WAIT"}, Usage: "return when it is complete; exit 1 if it failed or was cancelled"},
			&cli.StringFlag{Name: "out", EnvVars: []string{"BACKOFFICE_REPORT_OUT"}, Usage: "with --wait: `FILE` to write it to, or - for standard output"},
			overwriteFlag(),
			storeFlag(),
		},
		Action: func(c *cli.Context) error {
			args, err := reportArgs(c)
			if err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error { return requestReport(c, pool, args) })
		},
	}
}

// texts are the values of a flag that is repeatable and takes commas, which a StringSliceFlag splits at.
type texts []string

// Set implements flag.Value.
func (t *texts) Set(text string) error {
	*t = append(*t, text)
	return nil
}

// String implements flag.Value.
func (t *texts) String() string { return strings.Join(*t, " ") }

// reportArgs reads and checks the flags.
func reportArgs(c *cli.Context) (args jobs.GenerateReportArgs, err error) {
	args = jobs.GenerateReportArgs{Type: c.String("type"), Format: c.String("format"), Period: c.String("period"), Force: c.Bool("force")}
	if args.Type == "" {
		return args, usagef("enqueue generate-report wants --type NAME; there are %s", strings.Join(reportTypes(), ", "))
	}
	known, err := report.TypeOf(args.Type)
	if err != nil {
		return args, usagef("--type: %w", err)
	}
	if args.Format == "" {
		return args, usagef("enqueue generate-report wants --format FORMAT; %s comes as %s", args.Type, strings.Join(api.TypeOfReport(known).Formats, ", "))
	}
	if err := checkOut(c); err != nil {
		return args, err
	}
	params, err := reportParams(c, known)
	if err != nil {
		return args, err
	}
	if args.Period != "" {
		for _, name := range []string{"from", "to"} {
			if _, given := params[name]; given {
				return args, usagef("--period %s decides what --%s is; give one of the two", args.Period, name)
			}
		}
		args.Timezone, _ = params["timezone"].(string) // by its flag or by --param
		delete(params, "timezone")
	}
	if args.Params, err = json.Marshal(params); err != nil {
		return args, fmt.Errorf("encode parameters: %w", err)
	}
	if args, err = report.Check(args); err != nil {
		return args, &usageError{err}
	}
	return args, nil
}

func reportTypes() []string {
	var names []string
	for _, t := range report.Types() {
		names = append(names, t.Name)
	}
	return names
}

// checkOut refuses a place that the report could not be written to in the end.
func checkOut(c *cli.Context) error {
	out := c.String("out")
	switch {
	case out == "":
		return nil
	case !c.Bool("wait"):
		return usagef("--out %s goes with --wait; without it, see backoffice reports download", out)
	case out == "-" && wantsJSON(c):
		return usagef("--out - and --output json both want standard output; give a file to --out")
	}
	return checkFree(out, c.Bool("overwrite"))
}

// reportParams puts the flags that are parameters into one JSON object. What the type does not know stays
// in it, for report.Check to refuse by name.
func reportParams(c *cli.Context, t report.Type) (map[string]any, error) {
	params, kinds := map[string]any{}, map[string]string{}
	for _, p := range t.Parameters() {
		kinds[p.Name] = p.Type
	}
	for _, name := range reportParamFlags {
		if c.IsSet(name) {
			params[name] = c.String(name)
		}
	}
	for _, given := range *c.Generic("param").(*texts) {
		name, text, found := strings.Cut(given, "=")
		if !found || name == "" {
			return nil, usagef("--param %q is not NAME=VALUE", given)
		}
		if _, twice := params[name]; twice && !strings.HasPrefix(kinds[name], "list") {
			return nil, usagef("parameter %q is given twice", name)
		}
		value, err := paramValue(kinds[name], text, params[name])
		if err != nil {
			return nil, usagef("--param %s=%s: %w", name, text, err)
		}
		params[name] = value
	}
	return params, nil
}

// paramValue is a text as JSON of the parameter's type. One of a list is added to those before it.
func paramValue(kind, text string, before any) (any, error) {
	switch kind {
	case "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("is no whole number")
		}
		return n, nil
	case "boolean":
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("is neither true nor false")
		}
		return yes, nil
	case "list of string":
		list, _ := before.([]string)
		return append(slices.Clone(list), text), nil
	}
	return text, nil
}

// askedReport is what the command prints of the report.
type askedReport struct {
	api.Report
	Existing bool `json:"existing"` // it was asked for before
}

// requestReport asks for a checked report, and waits for it if that is wanted.
func requestReport(c *cli.Context, pool *pgxpool.Pool, args jobs.GenerateReportArgs) error {
	var stores *store.Stores
	if c.String("out") != "" { // found out now rather than when the report is complete
		var err error
		if stores, err = readStores(c, pool); err != nil {
			return err
		}
		defer stores.Close() //nolint:errcheck // it was only read
	}
	client, err := queue.NewInserter(pool)
	if err != nil {
		return err
	}
	var asked report.Requested
	err = postgres.InTx(c.Context, pool, func(tx pgx.Tx) (err error) {
		asked, err = report.Request(c.Context, tx, client, args, time.Now())
		return err
	})
	if errors.Is(err, report.ErrInvalid) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	if !c.Bool("wait") {
		return printAsked(c, asked)
	}
	if asked.Existing {
		fmt.Fprintln(c.App.ErrWriter, sentenceOfExisting(asked.Report))
	}
	done, err := waitReport(c, pool, asked.Report.ID)
	if err != nil {
		return err
	}
	if out := c.String("out"); out != "" {
		return saveReport(c, pool, stores, done.ID, out)
	}
	return printAsked(c, report.Requested{Report: done, Existing: asked.Existing})
}

func printAsked(c *cli.Context, asked report.Requested) error {
	r := asked.Report
	if wantsJSON(c) {
		return printJSON(c, askedReport{api.ReportOf(r), asked.Existing})
	}
	switch {
	case asked.Existing && !c.Bool("wait"):
		return printf(c, "%s\n", sentenceOfExisting(r))
	case r.Status == report.StatusCompleted:
		return printf(c, "report %d (%s, %s) is completed: %s, %s; backoffice reports download %d\n", r.ID, r.Type, r.Format, rowsOf(r.Rows), bytesOf(r.Bytes), r.ID)
	}
	return printf(c, "report %d (%s, %s) is %s as job %d; backoffice reports show %d\n", r.ID, r.Type, r.Format, r.Status, r.JobID, r.ID)
}

func sentenceOfExisting(r report.Report) string {
	if r.Status == report.StatusCompleted {
		return fmt.Sprintf("report %d has the same data; --force makes a new one", r.ID)
	}
	return fmt.Sprintf("report %d is the same and is %s", r.ID, r.Status)
}

// checkFree refuses a file that exists, unless it may be overwritten, and one in a folder that does not.
func checkFree(path string, overwrite bool) error {
	if path == "-" {
		return nil
	}
	found, err := os.Stat(path)
	switch {
	case err == nil && found.IsDir():
		return usagef("--out %s is a folder; name a file in it", path)
	case err == nil && !overwrite:
		return usagef("--out %s exists; name another file, or give --overwrite", path)
	case err == nil && !found.Mode().IsRegular():
		return usagef("--out %s is no ordinary file, and cannot be replaced by one; write it with --out - and a redirection", path)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return usagef("--out: %w", err)
	}
	if err := checkFolder("--out", path); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return usagef("--out %s is a symbolic link that leads to nothing; name another file, or remove it", path)
	}
	return nil
}

// checkFolder refuses a file in a folder that is not there.
func checkFolder(flag, path string) error {
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
		return usagef("%s %s: there is no folder %s", flag, path, filepath.Dir(path))
	}
	return nil
}
