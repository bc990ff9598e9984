// Package jobs is the queue's contract: one file per kind with its args and what is promised about
// it, the queue names, and the interface by which a job is enqueued inside a caller's transaction.
// Another service imports this package to enqueue, so it depends on River's types and pgx and on
// nothing else. How a job is worked lives in workers.
package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// The queues. Each has its own workers, so that slow work in one never holds up another.
const (
	QueueOrders      = "orders"
	QueueMaintenance = "maintenance"
)

// Enqueuer inserts jobs in the caller's transaction, so that a job commits together with the data it
// is about or not at all. *river.Client[pgx.Tx] satisfies it.
type Enqueuer interface {
	// InsertTx inserts one job. A duplicate of a unique job is reported, not an error.
	InsertTx(ctx context.Context, tx pgx.Tx, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	// InsertManyTx inserts jobs of which some may be duplicates, reported one by one.
	InsertManyTx(ctx context.Context, tx pgx.Tx, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	// InsertManyFastTx inserts jobs by COPY and answers their number; one duplicate fails them all.
	InsertManyFastTx(ctx context.Context, tx pgx.Tx, params []river.InsertManyParams) (int, error)
}

// Canceller cancels a job in the caller's transaction. *river.Client[pgx.Tx] satisfies it.
type Canceller interface {
	JobCancelTx(ctx context.Context, tx pgx.Tx, jobID int64) (*rivertype.JobRow, error)
}

// Args is what every kind's args type provides. Args carry keys and periods, never copies of rows.
type Args interface {
	river.JobArgs
	river.JobArgsWithInsertOpts
	// Contract states what is promised about jobs of this kind.
	Contract() Contract
	// Validate says in one sentence which field is missing or out of range, or nil.
	Validate() error
}

// Contract is everything a kind declares. Nothing is defaulted: Check refuses a contract that leaves
// a field out, at start-up and in a test.
type Contract struct {
	Kind        string        // stable name of the kind
	Queue       string        // where its jobs wait
	Timeout     time.Duration // longest one attempt may run
	MaxAttempts int           // attempts until a failing job is discarded
	Retry       Retry         // wait after a failed attempt
	Retention   Retention     // how long finished jobs are kept
	Harmless    string        // why running a job twice is harmless
}

// Retention says for how long finished jobs stay readable.
type Retention struct {
	Completed time.Duration
	Failed    time.Duration // cancelled and discarded
}

// Check names the first field that the contract leaves out, or nil.
func (c Contract) Check() error {
	missing := ""
	switch {
	case c.Kind == "":
		missing = "Kind"
	case c.Queue == "":
		missing = "Queue"
	case c.Timeout <= 0:
		missing = "Timeout"
	case c.MaxAttempts <= 0:
		missing = "MaxAttempts"
	case c.Retry.First <= 0 || c.Retry.Max < c.Retry.First:
		missing = "Retry"
	case c.Retention.Completed <= 0 || c.Retention.Failed <= 0:
		missing = "Retention"
	case c.Harmless == "":
		missing = "Harmless"
	default:
		return nil
	}
	return fmt.Errorf("kind %q declares no usable %s; every kind declares all of its contract", c.Kind, missing)
}

// InsertOpts are the options River inserts the kind's jobs with.
func (c Contract) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: c.Queue, MaxAttempts: c.MaxAttempts}
}

// unfinished are the states in which a unique job keeps a duplicate out. Completed is not among them,
// so the same work can be asked for again once it is done; River requires all but retryable.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
	rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// UniqueUnfinished says whether an unfinished job of a kind keeps a second one for the same thing out. No
// caller may choose when such a job runs: one put off for years would hold up what everybody else asks for.
func UniqueUnfinished(args river.JobArgs) bool {
	kind, ok := args.(river.JobArgsWithInsertOpts)
	return ok && !reflect.ValueOf(kind.InsertOpts().UniqueOpts).IsZero()
}

// Many prepares args of one kind for Enqueuer's bulk inserts.
func Many[T river.JobArgs](args []T) []river.InsertManyParams {
	params := make([]river.InsertManyParams, len(args))
	for i, a := range args {
		params[i].Args = a
	}
	return params
}

// Decode reads args of type T from JSON, strictly: an unknown field, a wrong type, anything after the
// object, or args that Validate refuses is an error that names the field.
func Decode[T Args](encoded []byte) (river.JobArgs, error) {
	var args T
	dec := json.NewDecoder(bytes.NewReader(encoded))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&args); err != nil {
		return nil, decodeError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("args: something follows the JSON object")
	}
	if err := checkNames(encoded, reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	if err := args.Validate(); err != nil {
		return nil, err
	}
	return args, nil
}

// checkNames refuses what encoding/json lets pass: a field in other letters than its name, of which
// one of two spellings would win, and a field given twice.
func checkNames(encoded []byte, args reflect.Type) error {
	known := map[string]bool{}
	for i := range args.NumField() {
		name, _, _ := strings.Cut(args.Field(i).Tag.Get("json"), ",")
		known[name] = true
	}
	dec := json.NewDecoder(bytes.NewReader(encoded))
	if _, err := dec.Token(); err != nil { // the opening brace
		return decodeError(err)
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return decodeError(err)
		}
		name, _ := token.(string)
		switch {
		case !known[name]:
			return fmt.Errorf("args: unknown field %q", name)
		case seen[name]:
			return fmt.Errorf("args: field %q is given twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return decodeError(err)
		}
	}
	return nil
}

// decodeError turns encoding/json's errors into sentences about args.
func decodeError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		if wrongType.Field == "" {
			return fmt.Errorf("args: wants a JSON object, got %s", wrongType.Value)
		}
		return fmt.Errorf("args: field %q wants %s, not a JSON %s", wrongType.Field, wrongType.Type, wrongType.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("args: unknown field %s", name)
	}
	return fmt.Errorf("args: not valid JSON: %w", err)
}
