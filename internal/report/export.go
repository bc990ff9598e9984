package report

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/report/render"
)

// Export is a bulk export of what became of orders, made in parts by COPY. Each part is a range of transitions'
// ids and a short transaction of its own, so that no snapshot lasts longer than a part, and a part that is
// recorded is never made again.
type Export struct {
	// Lines selects the rows of the transitions above the setting backoffice.after, up to backoffice.upto, in a
	// fixed order. COPY takes no parameters: they are settings, too. Its columns' names are the header; money is
	// text, for JSON.
	Lines string
	// Settings are the parameters that Lines reads, by name: backoffice.country.
	Settings func(Params) map[string]string
	// Range answers the transition after which, and the one up to which, every row lies that the parameters ask
	// for, both at most the watermark. It is called by every attempt, after the watermark was settled; rows do not
	// depend on it, only what is read to find them.
	Range func(ctx context.Context, db *pgxpool.Pool, params Params, watermark int64) (after, upto int64, err error)
}

// JSON writes control characters as escapes, so that with these two for quote and delimiter csv never quotes
// and a line is the JSON as it is.
const (
	copyCSVSQL       = "copy (%s) to stdout (format csv)"
	copyCSVHeaderSQL = "copy (%s) to stdout (format csv, header)"
	copyJSONLSQL     = "copy (select row_to_json(line) from (%s) line) to stdout (format csv, quote e'\\x01', delimiter e'\\x02')"
)

const (
	// How many transitions a part covers follows from the rows of the part before, see nextTransitions; the first
	// is taken to have so many rows for each.
	firstRowsEach = 25
	// sparseSteps is how many times as many as the first a part covers at most where most are passed over.
	sparseSteps = 4
	// partLimit bounds the snapshot of a part whatever happens, such as a store that stalls.
	partLimit = "60s"
)

const uptoSQL = `
select /* report.export */ coalesce(max(id), $2)
  from (select id
          from order_transitions
         where id > $1
           and id <= $2
         order by id
         limit $3) next`

// export writes the parts that are missing. While one part is made durable and recorded, the next is read.
func (r *run) export(ctx context.Context) (err error) {
	o := &r.output
	if o.after, o.upto, err = r.kind.Export.Range(ctx, r.Pool, r.params, o.watermark); err != nil {
		return fmt.Errorf("look where report %d begins and ends: %w", r.id, err)
	}
	o.lastID = max(o.lastID, o.after)
	parts, ctx := errgroup.WithContext(ctx)
	written := make(chan *partWriter)
	parts.Go(func() error {
		defer close(written)
		return r.readParts(ctx, written)
	})
	parts.Go(func() error {
		for p := range written {
			if err := p.wait(); err != nil {
				return err
			}
			if err := r.recordPart(ctx, p.part); err != nil {
				return err
			}
		}
		return nil
	})
	return parts.Wait()
}

// readParts reads part after part up to the last transition.
func (r *run) readParts(ctx context.Context, written chan<- *partWriter) error {
	transitions := max(r.PartRows/firstRowsEach, 1)
	for r.output.lastID < r.output.upto || r.needsHeader() {
		after, upto := r.output.lastID, int64(0)
		if err := r.Pool.QueryRow(ctx, uptoSQL, after, r.output.upto, transitions).Scan(&upto); err != nil {
			return fmt.Errorf("read report %d: %w", r.id, err)
		}
		rows, err := r.readPart(ctx, after, upto, written)
		if err != nil {
			return err
		}
		transitions = r.nextTransitions(transitions, rows)
	}
	return nil
}

// nextTransitions is how many transitions the part after one of so many transitions and rows is to cover. Where
// most are passed over, because of a country, the next ones may all be wanted: there the rows say little.
func (r *run) nextTransitions(transitions int, rows int64) int {
	most := r.PartRows
	if 2*rows < int64(transitions) {
		most = sparseSteps * r.PartRows / firstRowsEach
	}
	wanted := int64(transitions) * int64(r.PartRows) / max(rows, 1)
	return int(min(max(wanted, 1), max(int64(most), 1)))
}

// needsHeader says whether the output lacks the line that even a csv without rows has.
func (r *run) needsHeader() bool { return r.format == render.FormatCSV && r.output.bytes == 0 }

// readPart reads the rows of a range of transitions into a new part and hands it on; without any, there is no
// part.
func (r *run) readPart(ctx context.Context, after, upto int64, written chan<- *partWriter) (rows int64, err error) {
	to := &latePart{ctx: ctx, run: r}
	sql := r.copySQL()
	rows, err = r.copyRange(ctx, sql, after, upto, to)
	r.output.lastID = upto
	r.output.rows += rows
	if err != nil {
		err = fmt.Errorf("read report %d: %w", r.id, err)
	}
	if to.part == nil {
		return rows, err
	}
	p := to.part
	p.rows = &rows
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return 0, p.abandon(err)
	}
	select {
	case written <- p:
		return rows, nil
	case <-ctx.Done():
		return 0, p.abandon(ctx.Err())
	}
}

// copySQL is the COPY of the report's format.
func (r *run) copySQL() string {
	switch {
	case r.format == render.FormatJSONL:
		return fmt.Sprintf(copyJSONLSQL, r.kind.Export.Lines)
	case r.needsHeader():
		return fmt.Sprintf(copyCSVHeaderSQL, r.kind.Export.Lines)
	}
	return fmt.Sprintf(copyCSVSQL, r.kind.Export.Lines)
}

const settingsSQL = `
select /* report.export */ set_config(name, value, true)
  from unnest($1::text[], $2::text[]) as given (name, value)`

// copyRange writes the rows of a range of transitions to w, in one short transaction.
func (r *run) copyRange(ctx context.Context, sql string, after, upto int64, w io.Writer) (rows int64, err error) {
	err = inRange(ctx, r.Pool, r.kind.Export.Settings(r.params), after, upto, func(tx pgx.Tx) error {
		copied, err := tx.Conn().PgConn().CopyTo(ctx, w, sql)
		rows = copied.RowsAffected()
		return err
	})
	return rows, err
}

// inRange runs work in a short transaction in which the settings, and those of a range of transitions, hold.
func inRange(ctx context.Context, pool *pgxpool.Pool, settings map[string]string, after, upto int64, work func(pgx.Tx) error) error {
	settings["backoffice.after"], settings["backoffice.upto"] = strconv.FormatInt(after, 10), strconv.FormatInt(upto, 10)
	settings["statement_timeout"] = partLimit
	settings["jit"], settings["max_parallel_workers_per_gather"] = "off", "0" // which a part is too short for
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var names, values []string
		for name, value := range settings {
			names, values = append(names, name), append(values, value)
		}
		if _, err := tx.Exec(ctx, settingsSQL, names, values); err != nil {
			return err
		}
		return work(tx)
	})
}

// latePart begins a part with its first byte.
type latePart struct {
	ctx  context.Context //nolint:containedctx // of the one COPY that writes to it: io.Writer has no place for it
	run  *run
	part *partWriter
}

func (l *latePart) Write(b []byte) (n int, err error) {
	if l.part == nil {
		if l.part, err = l.run.newPart(l.ctx); err != nil {
			return 0, err
		}
	}
	return l.part.Write(b)
}

const progressPartSQL = `
update /* report.part */ reports
   set rows = $2,
       bytes = $3,
       done = $4
 where id = $1
   and status = 'running'`

// recordPart makes a stored part one that other attempts go on from.
func (r *run) recordPart(ctx context.Context, p part) error {
	return r.Part(ctx, func(tx pgx.Tx) error {
		reported, err := tx.Exec(ctx, progressPartSQL, r.id, p.allRows, p.allBytes, shareOf(r.output.after, p.lastID, r.output.upto))
		switch {
		case err != nil:
			return fmt.Errorf("record part %d of report %d: %w", p.no, r.id, err)
		case reported.RowsAffected() == 0:
			return errStopped
		}
		if err := r.insertParts(ctx, tx, p); err != nil {
			return err
		}
		return r.Advanced(ctx, tx)
	})
}
