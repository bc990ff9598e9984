// Package bench measures Backoffice on a server of its own or on a given one, next to floors that are
// measured in the same run on the same server: plain pgx, stock River, raw COPY, psql. A scenario is a
// file; this one holds what they share, lab.go the databases, run.go the order of things, print.go the
// tables. The program is measured as it ships: order scenarios start it as a child process. What the
// figures mean and what they should be is said in docs/performance.md.
package bench

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/order/importer"
)

// scenarios are all there are, in the order in which they run.
var scenarios = []Scenario{
	enqueueScenario,
	noopScenario,
	importScenario,
	ordersScenario,
	ordersFileScenario,
	latencyScenario,
	apiScenario,
	scaleScenario,
	idleScenario,
	backlogScenario,
	reportScenario,
	mixedScenario,
	cleanupScenario,
}

// Scenarios lists all there are, in the order in which they run.
func Scenarios() []Scenario { return append([]Scenario{}, scenarios...) }

// Scenario is one question: how fast is something, and how fast next to what.
type Scenario struct {
	Name      string // as it is asked for
	Summary   string // in one line
	NeedsFile bool   // left out of a run of all scenarios without --file

	// Prepare makes the templates of the databases and answers who competes. It is not measured.
	Prepare func(ctx context.Context, lab *Lab) (*Plan, error)
}

// Plan is who competes in a scenario and what is compared.
type Plan struct {
	Contestants []Contestant
	Ratios      []Ratio
}

// Contestant is one way to do the work.
type Contestant struct {
	Name     string   // unique in its plan
	Detail   string   // in one line, what exactly it does
	Template Template // of the databases of its runs; the zero Template: migrated and empty

	// Run works on a database of its own, made for this run. It measures, and then checks that the work
	// was really done and every invariant holds: an error makes the run void.
	Run func(ctx context.Context, db *Database) (Figures, error)
}

// Figures are what one run measured. The unit is part of the name: "orders/s", "p99 ms".
type Figures map[string]float64

// Ratio compares two contestants of a plan run by run.
type Ratio struct {
	What          string  // in one line
	Of, Against   string  // names of contestants
	Figure        string  // the same of both
	AgainstFigure string  // where the other's has another name; "": the same
	LowerIsBetter bool    // turns the ratio round, so that above 1 is always better
	AtLeast, Aim  float64 // what the median should reach; 0: nothing is asked
}

// Database is where a run takes place.
type Database struct {
	Name string
	URL  string
	Pool *pgxpool.Pool // large enough for the largest of Settings.Connections
}

// Template is a filled and analysed database from which those of the runs are cloned.
type Template struct{ name string }

// Settings are what the scenarios go by.
type Settings struct {
	Runs        int              // rounds; in each, every contestant runs once
	Orders      int              // how many orders, or jobs, a run works on
	Lines       int              // how many order lines an export has
	Rates       []float64        // orders per second of the latency scenarios
	Connections []int            // numbers of connections of which floors report the best
	File        string           // csv of real orders; "": orders are generated
	Import      importer.Options // how File is read; Path is File
	Quick       bool             // little data and one round, to see that everything works; no ratio is judged
}

// Few answers n, or the small number where the run is a quick one.
func (s Settings) Few(n, quick int) int {
	if s.Quick {
		return min(n, quick)
	}
	return n
}

// MostConnections is the largest number of connections that a floor tries.
func (s Settings) MostConnections() int {
	most := 1
	for _, n := range s.Connections {
		most = max(most, n)
	}
	return most
}
