// Package report makes reports: what types there are and what can be asked of them, requests and their
// answers, the work of one attempt, and reading what was made. A report is complete or absent: its bytes
// are stored part by part, and become readable in the transaction that completes its job. How a document
// looks in a format lives in render, where bytes are kept in store, the job's fence in queue.
//
// A new type is one file: its parameters, its SQL and a Type, which types lists.
//
// A job's row is locked before its report's, everywhere, so that two transactions never wait for each other.
package report

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/report/render"
)

// Type is a kind of report that can be asked for.
type Type struct {
	Name    string // sales-summary
	Title   string // Sales summary
	About   string // one sentence for people that says what is in it
	Version int    // of its parameters and columns; raised when either changes its meaning
	Formats []render.Format
	Driver  Driver

	// NewParams answers a pointer to the type's parameters, all zero.
	NewParams func() Params
	// Build reads the data and answers the document, whose rows may be read on while it is written. It may be
	// called again for the same report: by another attempt, which starts again.
	Build func(ctx context.Context, src *Source) (*render.Document, error)
	// Export makes csv and jsonl of a type with very many rows, part by part; nil: Build makes them, too.
	Export *Export
}

// Params are the parameters of one type: a pointer to a struct whose fields have json tags. They are decoded
// strictly, completed, and encoded again, so that equal requests have equal parameters.
type Params interface {
	// Complete fills in defaults and says in one sentence, made by Invalid, which field is wrong.
	Complete() error
	// Days are the first and the last day of the period, as 2010-12-01, in a zone; empty without a period, and
	// either may be empty where the period is open.
	Days() (from, to string, zone *time.Location)
}

// Driver is the append-only table that a type's data comes from. Its highest id, once nothing lower can
// appear any more, is the report's watermark.
type Driver string

// The drivers.
const (
	DriverTransitions Driver = "order_transitions"
	DriverMovements   Driver = "stock_movements" // orders begin to wait without one: never answered with an earlier report
	DriverJobs        Driver = "river_job"       // its rows change: nor is such a report
)

// Source is what a type's Build reads from.
type Source struct {
	DB        *pgxpool.Pool // each query a short snapshot of its own; never one for the whole report
	Params    Params        // of the type's own type, completed
	Format    render.Format // of the artifact: csv and jsonl hold several sections only when these share their columns
	Watermark int64         // nothing of the driver above it is read
	Made      time.Time     // when the watermark was read; documents know no other clock
	// Progress tells how far the work is, from 0 to 1, and how many rows are done. It is cheap: call it as often
	// as there is something to tell. Whether to stop is the context's to say.
	Progress func(done float64, rows int64)
}

// types lists every type. A new one adds its line here.
var types = []Type{
	salesSummary,
	orderLines,
	customers,
	stock,
	jobRuns,
}

// Types lists every type, in the order in which people are shown them.
func Types() []Type { return slices.Clone(types) }

// TypeOf answers the type of that name, or ErrInvalid with the list of those there are.
func TypeOf(name string) (Type, error) {
	var known []string
	for _, t := range types {
		if t.Name == name {
			return t, nil
		}
		known = append(known, t.Name)
	}
	return Type{}, Invalid("type", "type %q is unknown; there are %s", name, strings.Join(known, ", "))
}

// offers answers the format of that name, or ErrInvalid with those the type has.
func (t Type) offers(name string) (render.Format, error) {
	var offered []string
	for _, format := range t.Formats {
		if string(format) == name {
			return format, nil
		}
		offered = append(offered, string(format))
	}
	return "", Invalid("format", "format %q is not offered by %s; it comes as %s", name, t.Name, strings.Join(offered, ", "))
}
