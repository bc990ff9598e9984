package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"backoffice/internal/pgtest"
)

func TestWrongUsageIsOneSentenceAndExitCode2(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typed string
		words []string
	}{
		{"ordrs", []string{`no subcommand "ordrs"`, "orders, products"}},
		{"help ordrs", []string{`no subcommand "ordrs"`, "orders, products"}},
		{"ordrs --help", []string{`no subcommand "ordrs"`}},
		{"orders help shwo", []string{`orders has no subcommand "shwo"`}},
		{"--foo", []string{"no flag --foo", "backoffice --help"}},
		{"orders", []string{"orders wants a subcommand: place, import"}},
		{"orders shwo", []string{`no subcommand "shwo"`}},
		{"orders show", []string{"ID of an order or --number"}},
		{"orders show 41 --number 7", []string{"either the ID of an order or --number"}},
		{"orders show 41 42", []string{`takes only ID, but got "42"`}},
		{"orders show abc", []string{`"abc" is no id`}},
		{"orders show 0", []string{`"0" is no id`}},
		{"orders list --foo", []string{"orders list has no flag --foo", "backoffice orders list --help"}},
		{"orders list --limit", []string{"--limit wants a value"}},
		{"orders list --limit many", []string{`--limit "many" is no whole number`}},
		{"orders list --limit 1001", []string{"--limit 1001 is out of range; use 1 to 1000"}},
		{"orders list --output yaml", []string{`--output "yaml" is unknown; use table or json`}},
		{"kinds --log-level loud", []string{`--log-level "loud" is unknown`}},
		{"kinds --log-format xml", []string{`--log-format "xml" is unknown`}},
		{"orders place", []string{"at least one --line"}},
		{"orders place --line A:1", []string{`--line "A:1" is not SKU:QUANTITY:UNIT_PRICE`}},
		{"orders place --line A:many:1", []string{`quantity "many"`}},
		{"orders place --line A:99999999999:1", []string{`quantity "99999999999"`}},
		{"orders place --line A:1:cheap", []string{`unit price "cheap", which is no number`}},
		{"orders place --line A:1:1 --placed-at yesterday", []string{`--placed-at "yesterday" is no time`}},
		{"orders place --line A:1:1 --placed-at 2136-01-01T00:00:00Z", []string{"placed_at 2136-01-01T00:00:00Z is more than a day ahead"}},
		{"orders import", []string{"orders import wants FILE"}},
		{"orders import nofile.csv", []string{"there is no file nofile.csv"}},
		{"orders import x.csv --timezone Europe/Lodnon", []string{`--timezone "Europe/Lodnon" is unknown`}},
		{"orders import x.csv --map price=Price", []string{`--map: unknown field "price"`}},
		{"orders import x.csv --group-window 0", []string{"--group-window 0 is below 1"}},
		{"orders import x.csv --opening-stock some", []string{`--opening-stock "some"`}},
		{"products receive A", []string{"products receive wants SKU QUANTITY"}},
		{"products receive A 0", []string{`"0" is no number of units`}},
		{"products receive A -- -3", []string{`"-3" is no number of units`}},
		{"products receive A 1 --description x", []string{"--description goes with --track"}},
		{"products correct A lots", []string{`"lots" is no number of units`}},
		{"jobs list --state done", []string{`--state "done" is unknown`}},
		{"jobs retry", []string{"jobs retry wants ID..."}},
		{"jobs retry 1 x", []string{`"x" is no id`}},
		{"kinds now", []string{`kinds takes no argument, but got "now"`}},
		{"inspect queues --limit 0", []string{"--limit 0 is out of range"}},
		{"completion fish", []string{`shell "fish"`}},
		{"worker --soft-stop soon", []string{`--soft-stop "soon" is no duration`}},
		{"worker --store s3://bucket", []string{`--store "s3://bucket" names no store`, "file:///"}},
		{"worker --store file://tmp/x", []string{`--store "file://tmp/x" names no store`, "three slashes"}},
		{"worker --health-addr 8081", []string{`--health-addr "8081" is no address`, ":8081"}},
		{"api --store s3://bucket", []string{`--store "s3://bucket" names no store`}},
		{"api --addr 9399", []string{`--addr "9399" is no address`, ":8081"}},
		{"api --addr localhost:nine", []string{`--addr "localhost:nine" is no address`}},
		{"orders list --database-url foo", []string{"DATABASE_URL (--database-url)", "postgres://"}},
		{"worker --database-url mysql://u:secret@host/x", []string{"DATABASE_URL (--database-url)", "postgres://"}},
	} {
		t.Run(tc.typed, func(t *testing.T) {
			t.Parallel()
			refused(t, backoffice(t, strings.Fields(tc.typed)...), exitUsage, tc.words...)
		})
	}
}

func TestWrongUsageOfAMigratedDatabase(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, tc := range []struct {
		name  string
		args  []string
		code  int
		words []string
	}{
		{"unknown status", []string{"orders", "list", "--status", "done"}, exitUsage, []string{`status "done" is unknown`}},
		{"unknown kind of order", []string{"orders", "list", "--kind", "gift"}, exitUsage, []string{`kind "gift" is unknown`}},
		{"price out of range", []string{"orders", "place", "--line", "A:1:1e400"}, exitUsage, []string{"unit_price 1e400 is out of range"}},
		{"price with 5 decimals", []string{"orders", "place", "--line", "A:1:0.00001"}, exitUsage, []string{"more than 4 decimals"}},
		{"quantity 0", []string{"orders", "place", "--line", "A:0:1"}, exitUsage, []string{"quantity 0"}},
		{"currency in small letters", []string{"orders", "place", "--line", "A:1:1", "--currency", "gbp"}, exitUsage, []string{`currency "gbp"`}},
		{"no such order", []string{"orders", "show", "99"}, exitFailed, []string{"order 99 does not exist"}},
		{"no such number", []string{"orders", "cancel", "--number", "X1"}, exitFailed, []string{`order number "X1" does not exist`}},
		{"no such product", []string{"products", "show", "nope"}, exitFailed, []string{`product "nope" does not exist`}},
		{"receiving an unknown product", []string{"products", "receive", "nope", "1"}, exitFailed, []string{`"nope" does not exist`, "--track"}},
		{"no such job", []string{"jobs", "show", "99"}, exitFailed, []string{"job 99 does not exist"}},
		{"retrying no such job", []string{"jobs", "retry", "99"}, exitFailed, []string{"job 99 does not exist"}},
		{"cancelling no such job", []string{"jobs", "cancel", "99"}, exitFailed, []string{"job 99 does not exist"}},
		{"no such view", []string{"inspect", "weather"}, exitUsage, []string{`no view "weather"; there are cleanup, failures, jobs, orders, queues, reports, schedules`}},
		{"a table is no view", []string{"inspect", "public.orders"}, exitUsage, []string{`no view "public.orders"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refused(t, s.try(tc.args...), tc.code, tc.words...)
		})
	}
}

func TestDatabaseThatCannotBeUsedIsNamedWithTheCure(t *testing.T) {
	t.Parallel()
	t.Run("none is set and no dev runs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		refused(t, backoffice(t, "orders", "list", "--data-dir", dir), exitFailed, dir, "DATABASE_URL", "backoffice dev")
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		r := backoffice(t, "orders", "list", "--database-url", "postgres://shop:secret@127.0.0.1:1/shop")
		refused(t, r, exitFailed, "127.0.0.1:1", "connection refused")
		if strings.Contains(r.stderr, "secret") {
			t.Errorf("stderr shows the password: %s", r.stderr)
		}
	})
	t.Run("without a schema", func(t *testing.T) {
		t.Parallel()
		url := pgtest.EmptyURL(t)
		for _, command := range []string{"orders list", "orders show 1", "products list", "jobs list", "inspect", "worker --once", "enqueue reconcile-orders"} {
			refused(t, backoffice(t, append(strings.Fields(command), "--database-url", url)...), exitFailed, "backoffice migrate up")
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := contextThatEnded(t)
		defer cancel()
		r := backofficeWithin(t, ctx, "orders", "list", "--database-url", pgtest.URL(t))
		refused(t, r, exitFailed, "interrupted")
	})
}

func TestImportRefusesFilesItCannotRead(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	file := filepath.Join(t.TempDir(), "orders.csv")
	if err := os.WriteFile(file, []byte("number,sku,quantity,placed_at\n1,A,1,2026-01-01 10:00:00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, s.try("orders", "import", "/nowhere/orders.csv"), exitUsage, "no file /nowhere/orders.csv")
	refused(t, s.try("orders", "import", file), exitUsage, `no column "unit_price"`)
	refused(t, s.try("orders", "import", filepath.Dir(file)), exitUsage, "is a folder")
	refused(t, s.try("orders", "import", file, "--map", "number=InvoiceNo"), exitUsage, `no column "InvoiceNo"`, "--map number=InvoiceNo", "number, sku")
	refused(t, s.try("orders", "import", file, "--rejects", file), exitUsage, "--rejects", "is the file that is imported")
	if kept, err := os.ReadFile(file); err != nil || len(kept) == 0 {
		t.Errorf("the imported file holds %q (%v), want it untouched", kept, err)
	}
}

func TestImportWritesItsRejectsOverNothingElse(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("orders.csv", "number,sku,quantity,placed_at,unit_price\n1,A,1,2026-01-01 10:00:00,1\n2,A,none,2026-01-01 10:00:00,1\n")
	for name, text := range map[string]string{"notes": "milk, eggs\n", "other.csv": "line,number\n1,2\n", "binary": "\x00\xff"} {
		precious := write(name, text)
		refused(t, s.try("orders", "import", file, "--rejects", precious), exitUsage, "--rejects "+precious, "name another file")
		if kept, err := os.ReadFile(precious); err != nil || string(kept) != text {
			t.Errorf("%s holds %q, %v", name, kept, err)
		}
	}
	if n := s.number(`select count(*) from orders`); n != 0 {
		t.Errorf("a refused import has placed %d orders", n)
	}
	for _, rejects := range []string{filepath.Join(dir, "new.csv"), write("empty.csv", "")} {
		for range 2 { // the second time it holds the rejects of the first
			s.text("orders", "import", file, "--rejects", rejects)
		}
		if text, err := os.ReadFile(rejects); err != nil || strings.Count(string(text), "\n") != 2 || !strings.HasPrefix(string(text), "line,number,reason,number,") {
			t.Errorf("the rejects are %q, %v", text, err)
		}
	}
	s.text("orders", "import", file, "--rejects", os.DevNull)
	refused(t, s.try("orders", "import", file, "--rejects", filepath.Join(dir, "no", "new.csv")), exitUsage, "there is no folder "+filepath.Join(dir, "no"))
	refused(t, s.try("orders", "import", file, "--rejects", dir), exitUsage, "is a folder")

	rejects := filepath.Join(dir, "new.csv")
	refused(t, s.try("orders", "import", file, "--rejects", rejects, "--map", "number=No"), exitUsage, "--map number=No")
	if text, err := os.ReadFile(rejects); err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("an import that could not begin leaves rejects %q, %v", text, err)
	}
}

func TestBadEnvironmentNamesTheVariable(t *testing.T) {
	t.Setenv("BACKOFFICE_LIMIT", "many")
	refused(t, backoffice(t, "orders", "list"), exitUsage, `BACKOFFICE_LIMIT="many" (--limit) is no whole number`)
}

func TestEveryFlagHasAnEnvironmentNameAndEveryCommandAHelpPage(t *testing.T) {
	t.Parallel()
	var walk func(path []string, commands []*cli.Command)
	walk = func(path []string, commands []*cli.Command) {
		for _, command := range commands {
			path := append(path[:len(path):len(path)], command.Name)
			name := strings.Join(path, " ")
			if command.Usage == "" || command.Description == "" || !strings.Contains(command.Description, "backoffice "+path[0]) {
				t.Errorf("%s has no description with an example", name)
			}
			checkEnvironmentNames(t, name, command.Flags)
			help := backoffice(t, append(path, "--help")...)
			if help.code != exitOK || help.stderr != "" {
				t.Errorf("%s --help: exit code %d, stderr %q", name, help.code, help.stderr)
			}
			contains(t, help.stdout, "backoffice "+name+" - "+command.Usage, "USAGE:", "FLAGS:")
			checkHelpPage(t, name, help.stdout, command.Flags)
			checkParagraphs(t, name, command.Description)
			walk(path, command.Subcommands)
		}
	}
	app := newApp(os.Stdout, os.Stderr)
	checkEnvironmentNames(t, "backoffice", app.Flags)
	checkHelpPage(t, "", backoffice(t, "--help").stdout, app.Flags)
	walk(nil, app.Commands)
}

// checkHelpPage checks that a page can be read in a terminal, and that its flags say what to type.
func checkHelpPage(t *testing.T, command, page string, flags []cli.Flag) {
	t.Helper()
	for line := range strings.Lines(page) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > widestHelp {
			t.Errorf("%s --help has a line of %d characters: %s", command, n, line)
		}
	}
	for _, flag := range flags {
		name, meaning := describe(flag.(cli.DocGenerationFlag))
		if strings.Contains(meaning, "(default: 0)") || strings.Count(meaning, "(default:") > 1 {
			t.Errorf("%s --help tells a default that is none, or two: %s", command, meaning)
		}
		if strings.HasSuffix(name, " value") || !strings.Contains(page, "   "+name+" ") {
			t.Errorf("%s --help does not tell %s", command, name)
		}
	}
}

// checkParagraphs checks that no list is taken for a paragraph, whose lines are joined.
func checkParagraphs(t *testing.T, command, description string) {
	t.Helper()
	for line := range strings.Lines(description) {
		if line[0] != ' ' && strings.Contains(line, "  ") {
			t.Errorf("%s --help joins lines that stand under each other; begin them with a blank: %s", command, line)
		}
	}
}

func TestHelpIsWrappedUnderItsColumn(t *testing.T) {
	t.Parallel()
	flags := []cli.Flag{&cli.DurationFlag{Name: "wait", EnvVars: []string{"WAIT"}, Value: time.Second, Usage: "how long a commit that is not full waits for more jobs"},
		&cli.StringSliceFlag{Name: "queue", EnvVars: []string{"QUEUE"}, Usage: "`NAME` of a queue"}}
	const want = `   --wait DURATION   how long a commit that is not full
                     waits for more jobs (default: 1s)
                     [$WAIT]
   --queue NAME ...  NAME of a queue [$QUEUE]
`
	if got := flagTable(flags, 60); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	const prose = "One line that is\nlonger than the other.\n\n" +
		"  backoffice audit   all that was done\n  backoffice orders list --status placed --limit 5\n  backoffice-and-so-on-and-on-and-on"
	const fitted = "One line that is longer than\nthe other.\n\n" +
		"  backoffice audit   all that\n                     was done\n" +
		"  backoffice orders list \\\n    --status placed --limit 5\n  backoffice-and-so-on-and-on-and-on"
	if got := reflowed(prose, 30); got != fitted {
		t.Errorf("got\n%s\nwant\n%s", got, fitted)
	}
}

func checkEnvironmentNames(t *testing.T, command string, flags []cli.Flag) {
	t.Helper()
	for _, flag := range flags {
		name := flag.Names()[0]
		documented, ok := flag.(cli.DocGenerationFlag)
		if name == "help" || name == "version" {
			continue
		}
		if !ok || len(documented.GetEnvVars()) == 0 || documented.GetUsage() == "" {
			t.Errorf("%s --%s has no environment name or no description", command, name)
		}
	}
}

func TestBareProgramAndHelpPrintTheCommands(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"", "--help", "-h", "help"} {
		r := backoffice(t, strings.Fields(typed)...)
		if r.code != exitOK {
			t.Errorf("%q: exit code = %d, want 0", typed, r.code)
		}
		contains(t, r.stdout, "COMMANDS:", "migrate", "--database-url", "$DATABASE_URL")
	}
	for _, typed := range []string{"help orders show", "orders help show", "orders show --help", "orders show 41 -h"} {
		contains(t, backoffice(t, strings.Fields(typed)...).stdout, "backoffice orders show - ")
	}
	contains(t, backoffice(t, "orders", "help").stdout, "backoffice orders - ", "SUBCOMMANDS:")
}
