package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/order/importer"
	"backoffice/internal/queue"
)

func ordersImportCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "import orders from a csv file, plain or gzip",
		ArgsUsage: "FILE",
		Description: `Every row becomes a line of an order or a reject with its line number and reason.
Orders, lines and jobs commit together, batch by batch; importing the same file again
changes nothing, so an interrupted import is completed by the same command.
Rejected lines do not change the exit code, which is 0 when the file was read to its end.

The rows of one number are a credit if it begins with --credit-prefix: stock and money
back. Else they are a sale if a row has quantity and unit price above zero. Else they
are an adjustment, which sells nothing: gifts, write-offs and corrections of money.

  backoffice orders import shop.csv
  backoffice orders import shop.csv.gz --credit-prefix C --timezone Europe/London \
    --map number=InvoiceNo,sku=StockCode,quantity=Quantity,placed_at=Date,unit_price=Price \
    --rejects rejects.csv`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "map", EnvVars: []string{"BACKOFFICE_IMPORT_MAP"},
				Usage: "`FIELD=COLUMN,...`: the file's columns of number, sku, description, quantity, placed_at, unit_price, customer, country (default: of the same names)"},
			&cli.StringFlag{Name: "credit-prefix", EnvVars: []string{"BACKOFFICE_IMPORT_CREDIT_PREFIX"},
				Usage: "`TEXT` with which the numbers of credits begin, such as C (default: there are none)"},
			&cli.StringFlag{Name: "timezone", EnvVars: []string{"BACKOFFICE_IMPORT_TIMEZONE"}, Value: "UTC",
				Usage: "`ZONE` of dates that name none, such as Europe/London"},
			&cli.StringFlag{Name: "currency", EnvVars: []string{"BACKOFFICE_CURRENCY"}, Value: importer.DefaultCurrency,
				Usage: "`CODE` of three capital letters"},
			&cli.StringFlag{Name: "opening-stock", EnvVars: []string{"BACKOFFICE_IMPORT_OPENING_STOCK"}, Value: "unlimited",
				Usage: "`UNITS` on hand of every product not seen before, or unlimited: its stock is not tracked"},
			&cli.IntFlag{Name: "group-window", EnvVars: []string{"BACKOFFICE_IMPORT_GROUP_WINDOW"}, Value: importer.DefaultGroupWindow,
				Usage: "an order is complete when no row of its number came for this many `LINES`"},
			&cli.PathFlag{Name: "rejects", EnvVars: []string{"BACKOFFICE_IMPORT_REJECTS"},
				Usage: "csv `FILE` to write rejected rows to, with line number and reason (default: they are only counted)"},
		},
		Action: importOrders,
	}
}

func importOrders(c *cli.Context) error {
	opts, err := importOptions(c)
	if err != nil {
		return err
	}
	switch found, err := os.Stat(opts.Path); {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("orders import: there is no file %s", opts.Path)
	case err == nil && found.IsDir():
		return usagef("orders import: %s is a folder; name a file in it", opts.Path)
	}
	if path := c.Path("rejects"); path != "" {
		if err := checkRejects(path, opts.Path); err != nil {
			return err
		}
	}
	return withPool(c, func(pool *pgxpool.Pool) (err error) {
		client, err := queue.NewInserter(pool)
		if err != nil {
			return err
		}
		if path := c.Path("rejects"); path != "" {
			rejects := &lateFile{path: path}
			defer func() { err = errors.Join(err, rejects.close()) }()
			opts.Rejects = rejects
		}
		shown := newProgress(c.App.ErrWriter)
		opts.Progress = shown.update
		started := time.Now()
		result, err := importer.Run(c.Context, pool, client, opts)
		shown.done()
		switch {
		case err != nil && c.Context.Err() != nil: // the driver's account of it says nothing to anybody
			return errors.New("interrupted; what is committed stays, and the same command imports the rest")
		case err != nil:
			return err
		}
		return printImported(c, result, time.Since(started))
	})
}

// importOptions reads the flags.
func importOptions(c *cli.Context) (importer.Options, error) {
	opts := importer.Options{
		Path: c.Args().First(), CreditPrefix: c.String("credit-prefix"), Currency: c.String("currency"), GroupWindow: c.Int("group-window"),
	}
	var err error
	if opts.Columns, err = importer.ParseColumns(c.String("map")); err != nil {
		return opts, &usageError{err}
	}
	if opts.Timezone, err = time.LoadLocation(c.String("timezone")); err != nil {
		return opts, usagef("--timezone %q is unknown; use a name like Europe/London", c.String("timezone"))
	}
	if opts.GroupWindow < 1 {
		return opts, usagef("--group-window %d is below 1; give a number of lines", opts.GroupWindow)
	}
	if text := c.String("opening-stock"); text != "unlimited" {
		units, err := strconv.Atoi(text)
		if err != nil || units < 0 || units > math.MaxInt32 {
			return opts, usagef("--opening-stock %q is neither a number of units from 0 to %d nor unlimited", text, math.MaxInt32)
		}
		opts.OpeningStock = &units
	}
	return opts, nil
}

// checkRejects refuses to write rejects over anything but the rejects of an earlier import.
func checkRejects(path, imported string) error {
	target, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkFolder("--rejects", path)
	case err != nil:
		return usagef("--rejects: %w", err)
	case target.IsDir():
		return usagef("--rejects %s is a folder; name a file in it", path)
	}
	source, err := os.Stat(imported)
	if err != nil {
		return fmt.Errorf("orders import: %w", err)
	}
	if os.SameFile(source, target) {
		return usagef("--rejects %s is the file that is imported; name another", path)
	}
	if target.Size() == 0 { // nor do a pipe or a terminal lose anything
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("orders import: --rejects: %w", err)
	}
	defer file.Close()
	if !importer.IsRejects(file) {
		return usagef("--rejects %s exists and does not hold the rejects of an import; name another file, or remove it", path)
	}
	return nil
}

// lateFile is made, or emptied, when the first is written to it: an import that cannot begin leaves the rejects
// of an earlier one where they are.
type lateFile struct {
	path string
	file *os.File
}

func (f *lateFile) Write(text []byte) (int, error) {
	if f.file == nil {
		file, err := os.Create(f.path)
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.Write(text)
}

func (f *lateFile) close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

func printImported(c *cli.Context, r importer.Result, took time.Duration) error {
	if wantsJSON(c) {
		return printJSON(c, r)
	}
	t := newTable("", ">DOCUMENTS", ">LINES")
	t.add("orders", thousands(int64(r.Orders)), thousands(int64(r.OrderLines)))
	t.add("credits", thousands(int64(r.Credits)), thousands(int64(r.CreditLines)))
	t.add("adjustments", thousands(int64(r.Adjustments)), thousands(int64(r.AdjustmentLines)))
	t.add("rejected", "", thousands(int64(r.RejectedLines)))
	t.add("read", "", thousands(int64(r.LinesRead)))
	if err := t.print(c.App.Writer, "", ""); err != nil {
		return err
	}
	err := printf(c, "net amount %s %s; new are %s with %s; took %s\n", r.NetAmount, c.String("currency"),
		count(r.DocumentsNew, "document"), count(r.LinesNew, "line"), took.Round(10*time.Millisecond))
	if err != nil || r.RejectedLines == 0 {
		return err
	}
	return printRejects(c, r)
}

// printRejects shows the first rejected rows and where the others are.
func printRejects(c *cli.Context, r importer.Result) error {
	for _, reject := range r.FirstRejects {
		if err := printf(c, "rejected %s\n", oneLine(reject.String())); err != nil {
			return err
		}
	}
	where := "name a file with --rejects to see them all"
	if path := c.Path("rejects"); path != "" {
		where = "all of them are in " + path
	}
	return printf(c, "%s rejected; %s\n", count(r.RejectedLines, "line"), where)
}
