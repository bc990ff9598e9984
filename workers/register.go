// Package workers holds one worker per job kind: it calls the domain and turns the answer into the
// job's outcome, nothing else. Rules and SQL live in the domain packages, what a kind promises in jobs.
package workers

import (
	"fmt"
	"log/slog"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/jobs"
)

// Deps is what workers are built from.
type Deps struct {
	Pool  *pgxpool.Pool
	Jobs  jobs.Enqueuer
	Now   func() time.Time
	Group queue.GroupConfig // how jobs of the kinds that share commits do so

	Stores  *store.Stores   // where artifacts are put
	Reports report.Settings // how reports are made
	Log     *slog.Logger    // nil: nothing is said beside the jobs' outcomes
}

// kinds is every kind of this build. A new kind adds its line here.
var kinds = []kind{
	of(func(d Deps) river.Worker[jobs.ProcessOrderArgs] { return NewProcessOrderWorker(d) }),
	of(func(d Deps) river.Worker[jobs.ReconcileOrdersArgs] { return &ReconcileOrdersWorker{Deps: d} }),
	of(func(d Deps) river.Worker[jobs.CleanUpArgs] { return &CleanUpWorker{Deps: d} }),
	of(func(d Deps) river.Worker[jobs.GenerateReportArgs] { return &GenerateReportWorker{Deps: d} }),
}

// kind is a job kind with its types erased.
type kind struct {
	contract jobs.Contract
	args     jobs.Args // a zero value
	decode   func(args []byte) (river.JobArgs, error)
	register func(*river.Workers, Deps) error
}

func of[T jobs.Args](build func(Deps) river.Worker[T]) kind {
	var args T
	contract := args.Contract()
	return kind{
		contract: contract,
		args:     args,
		decode:   jobs.Decode[T],
		register: func(workers *river.Workers, d Deps) error {
			return river.AddWorkerSafely(workers, contracted[T]{build(d), contract})
		},
	}
}

// contracted makes a worker keep its kind's contract, so that a worker only says how to work.
type contracted[T jobs.Args] struct {
	river.Worker[T]
	contract jobs.Contract
}

// Timeout is the kind's own.
func (w contracted[T]) Timeout(*river.Job[T]) time.Duration { return w.contract.Timeout }

// NextRetry leaves the wait to the client's policy, which also covers jobs no worker can decode.
func (w contracted[T]) NextRetry(*river.Job[T]) time.Time { return time.Time{} }

// Register builds the worker of every kind. It fails when a kind leaves out part of its contract.
func Register(d Deps) (*river.Workers, error) {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	registered := river.NewWorkers()
	for _, k := range kinds {
		if err := k.contract.Check(); err != nil {
			return nil, err
		}
		if err := k.register(registered, d); err != nil {
			return nil, fmt.Errorf("register kind %q: %w", k.contract.Kind, err)
		}
	}
	return registered, nil
}

// Contracts lists what every kind promises, by kind.
func Contracts() []jobs.Contract {
	contracts := make([]jobs.Contract, len(kinds))
	for i, k := range kinds {
		contracts[i] = k.contract
	}
	sort.Slice(contracts, func(i, j int) bool { return contracts[i].Kind < contracts[j].Kind })
	return contracts
}

// Decode reads args of the named kind strictly; see jobs.Decode. An unknown kind is refused with the
// list of known ones.
func Decode(name string, args []byte) (river.JobArgs, error) {
	var known []string
	for _, c := range Contracts() {
		known = append(known, c.Kind)
	}
	for _, k := range kinds {
		if k.contract.Kind == name {
			return k.decode(args)
		}
	}
	return nil, fmt.Errorf("kind %q is unknown; this build knows %s", name, strings.Join(known, ", "))
}
