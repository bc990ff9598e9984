package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"backoffice/internal/bench"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:      "bench",
		Usage:     "measure this program on this machine, next to floors measured in the same run",
		ArgsUsage: "[SCENARIO]...",
		Description: `Without --database-url or DATABASE_URL it starts a durable Postgres of its own and
throws it away afterwards. On a given server, whose role must be allowed to create
databases, every run takes place in a new database named backoffice_bench_..., dropped
after it; no other database is touched. Each run is checked before it counts: a run
that broke a rule is void, and the exit code 1.

  backoffice bench                             every scenario that needs no file
  backoffice bench enqueue noop --runs 3
  backoffice bench import --file shop.csv.gz --map number=InvoiceNo,sku=StockCode,...
  backoffice bench --list`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "list", EnvVars: []string{"BACKOFFICE_BENCH_LIST"}, Usage: "list the scenarios and measure nothing"},
			&cli.IntFlag{Name: "runs", EnvVars: []string{"BACKOFFICE_BENCH_RUNS"}, Value: 5,
				Usage: "`ROUNDS`, in each of which every contestant runs once; medians are over them"},
			&cli.IntFlag{Name: "orders", EnvVars: []string{"BACKOFFICE_BENCH_ORDERS"}, Value: 50_000,
				Usage: "`ORDERS`, or jobs, that one run works on"},
			&cli.IntFlag{Name: "lines", EnvVars: []string{"BACKOFFICE_BENCH_LINES"}, Value: 1_000_000,
				Usage: "order `LINES` that an export has"},
			&cli.PathFlag{Name: "file", EnvVars: []string{"BACKOFFICE_BENCH_FILE"},
				Usage: "csv `FILE` of real orders, read as orders import does; the flags below say how"},
			&cli.StringFlag{Name: "connections", EnvVars: []string{"BACKOFFICE_BENCH_CONNECTIONS"}, Value: "4,8,16,32",
				Usage: "`NUMBERS` of connections with which a floor is tried; the best counts"},
			&cli.StringFlag{Name: "rates", EnvVars: []string{"BACKOFFICE_BENCH_RATES"}, Value: "20,300",
				Usage: "`RATES` in orders per second at which latency is measured"},
			&cli.BoolFlag{Name: "quick", EnvVars: []string{"BACKOFFICE_BENCH_QUICK"},
				Usage: "little data and one round, to see that everything works; the figures say nothing"},
			&cli.BoolFlag{Name: "keep", EnvVars: []string{"BACKOFFICE_BENCH_KEEP"},
				Usage: "leave the databases, and the files of a Postgres of its own, where they are"},
			&cli.PathFlag{Name: "pg-bin", EnvVars: []string{"BACKOFFICE_PG_BIN"},
				Usage: "`DIR` of the PostgreSQL programs (default: looked for in the usual places)"},
		}, importFileFlags()...),
		Action: runBench,
	}
}

// importFileFlags are the flags of orders import that say how a file is read.
func importFileFlags() []cli.Flag {
	return slices.DeleteFunc(ordersImportCommand().Flags, func(flag cli.Flag) bool { return flag.Names()[0] == "rejects" })
}

func runBench(c *cli.Context) error {
	if c.Bool("list") {
		return printScenarios(c)
	}
	opts, err := benchOptions(c)
	if err != nil {
		return err
	}
	report, err := bench.Run(c.Context, c.Args().Slice(), opts)
	if unknown := new(bench.UnknownError); errors.As(err, &unknown) {
		return &usageError{err}
	}
	if len(report.Scenarios) == 0 {
		return err
	}
	return errors.Join(printBench(c, report), err)
}

func printScenarios(c *cli.Context) error {
	type scenario struct {
		Name    string `json:"scenario"`
		Summary string `json:"summary"`
		File    bool   `json:"needs_file"`
	}
	var all []scenario
	t := newTable("SCENARIO", "MEASURES", "")
	for _, s := range bench.Scenarios() {
		all = append(all, scenario{s.Name, s.Summary, s.NeedsFile})
		note := ""
		if s.NeedsFile {
			note = "needs --file"
		}
		t.add(s.Name, s.Summary, note)
	}
	return printRows(c, all, t, "no scenarios")
}

func printBench(c *cli.Context, report bench.Report) error {
	if wantsJSON(c) {
		return printJSON(c, report)
	}
	return report.Print(c.App.Writer)
}

// benchOptions reads and checks the flags.
func benchOptions(c *cli.Context) (bench.Options, error) {
	program, err := os.Executable()
	if err != nil {
		return bench.Options{}, fmt.Errorf("find the program itself: %w", err)
	}
	opts := bench.Options{
		DatabaseURL: c.String("database-url"), BinDir: c.Path("pg-bin"), Keep: c.Bool("keep"), Version: version(),
		Program: program, Environment: withoutSettings(c.App, os.Environ()),
		Progress: progressLines(c.App.ErrWriter),
	}
	opts.Settings, err = benchSettings(c)
	return opts, err
}

func benchSettings(c *cli.Context) (bench.Settings, error) {
	s := bench.Settings{Runs: c.Int("runs"), Orders: c.Int("orders"), Lines: c.Int("lines"), File: c.Path("file"), Quick: c.Bool("quick")}
	switch {
	case s.Runs < 1:
		return s, usagef("--runs %d is below 1; give a number of rounds", s.Runs)
	case s.Orders < 1:
		return s, usagef("--orders %d is below 1; give a number of orders", s.Orders)
	case s.Lines < 1:
		return s, usagef("--lines %d is below 1; give a number of order lines", s.Lines)
	}
	if s.Quick {
		s.Runs, s.Orders = 1, min(s.Orders, 400)
	}
	for text := range strings.SplitSeq(c.String("connections"), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 1000 {
			return s, usagef("--connections: %q is no number from 1 to 1000; write them like 4,8,16", text)
		}
		s.Connections = append(s.Connections, n)
	}
	for text := range strings.SplitSeq(c.String("rates"), ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(rate > 0 && rate <= 1e6) {
			return s, usagef("--rates: %q is no number of orders per second up to 1000000; write them like 20,300", text)
		}
		s.Rates = append(s.Rates, rate)
	}
	if s.File != "" {
		if stat, err := os.Stat(s.File); err != nil || stat.IsDir() {
			return s, usagef("--file %s is no file that can be read; name a csv of orders", s.File)
		}
	}
	var err error
	s.Import, err = importOptions(c)
	s.Import.Path = s.File
	return s, err
}

// withoutSettings takes out of an environment what any flag of the program would read: child processes
// of a benchmark run with the settings that the benchmark gives them.
func withoutSettings(app *cli.App, environ []string) []string {
	settings := map[string]bool{}
	note := func(flags []cli.Flag) {
		for _, flag := range flags {
			if documented, ok := flag.(cli.DocGenerationFlag); ok {
				for _, name := range documented.GetEnvVars() {
					settings[name] = true
				}
			}
		}
	}
	note(app.Flags)
	var walk func([]*cli.Command)
	walk = func(commands []*cli.Command) {
		for _, command := range commands {
			note(command.Flags)
			walk(command.Subcommands)
		}
	}
	walk(app.Commands)
	return slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return settings[name]
	})
}

// progressLines tells on stderr what happens.
func progressLines(w io.Writer) func(string) {
	return func(text string) { fmt.Fprintln(w, oneLine(text)) }
}
