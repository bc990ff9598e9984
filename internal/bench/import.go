package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"backoffice/internal/order/importer"
	"backoffice/internal/queue"
)

var importScenario = Scenario{
	Name:    "import",
	Summary: "lines per second from a raw csv to orders, lines and jobs, next to psql \\copy of prepared lines into order_lines alone",
	Prepare: prepareImport,
}

func prepareImport(ctx context.Context, lab *Lab) (*Plan, error) {
	file := lab.Settings.Import
	if file.Path == "" {
		file.Path, file.CreditPrefix = filepath.Join(lab.Dir(), "orders.csv"), sampleCreditPrefix
		if err := writeSampleCSV(file.Path, max(lab.Settings.Orders/5, 1)); err != nil {
			return nil, fmt.Errorf("write a csv of orders: %w", err)
		}
	}
	lines := filepath.Join(lab.Dir(), "order_lines.copy")
	var want shelf
	ordersOnly, err := lab.Template(ctx, "orders without lines", func(ctx context.Context, db *Database) (err error) {
		want, err = prepareLines(ctx, db, file, lines)
		return err
	})
	if err != nil {
		return nil, err
	}
	empty, err := lab.empty(ctx)
	if err != nil {
		return nil, err
	}
	const ours, floor = "orders import", `\copy`
	return &Plan{
		Contestants: []Contestant{
			{Name: ours, Detail: "the program, from its start to its end: parse, group, check, store, enqueue, analyze", Template: empty, Run: lab.imports(file, want)},
			{Name: floor, Detail: "floor: psql, the same lines prepared as a file, into order_lines whose orders are there", Template: ordersOnly, Run: lab.copiesLines(lines, want)},
		},
		Ratios: []Ratio{{What: `import against \copy`, Of: ours, Against: floor, Figure: "lines/s", AtLeast: 0.9, Aim: 1.4}},
	}, nil
}

// shelf is what an import leaves in the database.
type shelf struct {
	Orders, Lines int
	Amount        string
	Jobs          int // ready, each of another order
}

const shelfSQL = `
select /* bench.import */
       (select count(*) from orders),
       (select count(*) from order_lines),
       (select coalesce(sum(quantity * unit_price), 0)::text from order_lines),
       (select count(distinct args ->> 'order_id') from river_job where kind = 'process_order' and state = 'available')`

func countShelf(ctx context.Context, db *Database) (s shelf, err error) {
	if err := db.Pool.QueryRow(ctx, shelfSQL).Scan(&s.Orders, &s.Lines, &s.Amount, &s.Jobs); err != nil {
		return s, fmt.Errorf("count what was imported: %w", err)
	}
	return s, nil
}

func checkShelf(ctx context.Context, db *Database, want shelf) error {
	got, err := countShelf(ctx, db)
	if err == nil && got != want {
		err = fmt.Errorf("the tables hold %+v, and not %+v", got, want)
	}
	return err
}

// prepareLines imports the file, writes the lines to another as COPY takes them, and takes them away again.
func prepareLines(ctx context.Context, db *Database, file importer.Options, lines string) (want shelf, err error) {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return want, err
	}
	if _, err := importer.Run(ctx, db.Pool, inserter, file); err != nil {
		return want, err
	}
	if want, err = countShelf(ctx, db); err != nil {
		return want, err
	}
	if want.Lines == 0 {
		return want, fmt.Errorf("%s holds no line that can be imported", file.Path)
	}
	if err := copyOutLines(ctx, db, lines); err != nil {
		return want, fmt.Errorf("copy the lines out: %w", err)
	}
	if _, err := db.Pool.Exec(ctx, "truncate /* bench.import */ order_lines"); err != nil {
		return want, fmt.Errorf("take the lines away: %w", err)
	}
	return want, nil
}

const lineColumns = `order_id, line_no, line_kind, sku, description, quantity, unit_price`

func copyOutLines(ctx context.Context, db *Database, path string) (err error) {
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = conn.Conn().PgConn().CopyTo(ctx, out,
		"copy /* bench.import */ (select "+lineColumns+" from order_lines order by order_id, line_no) to stdout")
	return err
}

// imports measures the program.
func (l *Lab) imports(file importer.Options, want shelf) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		var stdout, stderr bytes.Buffer
		program := l.Backoffice(ctx, db, append([]string{"orders", "import", file.Path, "--output", "json"}, importFlags(file)...)...)
		program.Stdout, program.Stderr = &stdout, &stderr
		began := time.Now()
		if err := program.Run(); err != nil {
			return nil, fmt.Errorf("orders import: %w: %s", err, strings.TrimSpace(stderr.String()))
		}
		took := time.Since(began)
		var result importer.Result
		if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
			return nil, fmt.Errorf("read what orders import says: %w", err)
		}
		if result.LinesNew != want.Lines {
			return nil, fmt.Errorf("orders import says it stored %d lines, and not %d", result.LinesNew, want.Lines)
		}
		return Figures{
			"lines/s":  float64(want.Lines) / took.Seconds(),
			"orders/s": float64(want.Orders) / took.Seconds(),
		}, checkShelf(ctx, db, want)
	}
}

// importFlags are the flags of orders import that mean the same as the options.
func importFlags(o importer.Options) []string {
	var flags []string
	add := func(flag, value string) {
		if value != "" {
			flags = append(flags, flag, value)
		}
	}
	var columns []string
	for field, column := range o.Columns {
		columns = append(columns, field+"="+column)
	}
	slices.Sort(columns)
	add("--map", strings.Join(columns, ","))
	add("--credit-prefix", o.CreditPrefix)
	add("--currency", o.Currency)
	if o.Timezone != nil {
		add("--timezone", o.Timezone.String())
	}
	if o.GroupWindow > 0 {
		add("--group-window", strconv.Itoa(o.GroupWindow))
	}
	if o.OpeningStock != nil {
		add("--opening-stock", strconv.Itoa(*o.OpeningStock))
	}
	return flags
}

// copiesLines measures psql.
func (l *Lab) copiesLines(lines string, want shelf) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (Figures, error) {
		psql, err := l.psql(ctx, db, fmt.Sprintf(`\copy order_lines (%s) from '%s'`, lineColumns, strings.ReplaceAll(lines, "'", "''")))
		if err != nil {
			return nil, err
		}
		var stderr bytes.Buffer
		psql.Stderr = &stderr
		began := time.Now()
		if err := psql.Run(); err != nil {
			return nil, fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(stderr.String()))
		}
		return Figures{"lines/s": float64(want.Lines) / time.Since(began).Seconds()}, checkShelf(ctx, db, want)
	}
}
