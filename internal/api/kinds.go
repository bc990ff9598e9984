package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"backoffice/internal/queue"
	"backoffice/jobs"
)

// Kind is a job kind of this build.
type Kind struct {
	Contract jobs.Contract
	Args     jobs.Args // a zero value, whose type is the schema
	Decode   func(args []byte) (queue.JobArgs, error)
}

// kindChecker checks args of one kind.
type kindChecker struct {
	Kind
	registry huma.Registry
	schema   *huma.Schema
	text     json.RawMessage // the schema, as it is shown
}

// checkersOf derives every kind's schema from its args type.
func checkersOf(kinds []Kind) (map[string]kindChecker, error) {
	checkers := make(map[string]kindChecker, len(kinds))
	for _, k := range kinds {
		registry := huma.NewMapRegistry("#/$defs/", schemaName)
		c := kindChecker{Kind: k, registry: registry, schema: registry.Schema(reflect.TypeOf(k.Args), false, k.Contract.Kind)}
		if c.schema.Properties == nil {
			c.schema.Properties = map[string]*huma.Schema{}
		}
		var err error
		if c.text, err = c.schema.MarshalJSON(); err != nil {
			return nil, fmt.Errorf("describe the args of kind %s: %w", k.Contract.Kind, err)
		}
		checkers[k.Contract.Kind] = c
	}
	return checkers, nil
}

// check reads args: by the schema first, which names the place, then by the kind's own rules.
func (c kindChecker) check(encoded []byte) (queue.JobArgs, error) {
	if len(encoded) == 0 {
		encoded = []byte("{}")
	}
	var parsed any
	if err := unmarshalStrict(encoded, &parsed); err != nil {
		return nil, refuse(errInvalid, "body.args", "args: %s", err)
	}
	if found := validate(c.registry, c.schema, "body.args", parsed); len(found) > 0 {
		return nil, huma.NewError(http.StatusUnprocessableEntity, "", found...)
	}
	args, err := c.Decode(encoded)
	if err != nil {
		return nil, refuse(errInvalid, "body.args", "%s", err)
	}
	return args, nil
}

func (a *API) kindNames() []string { return slices.Sorted(maps.Keys(a.kinds)) }

// queueNames are those that kinds of this build go to.
func (a *API) queueNames() []string {
	var names []string
	for _, k := range a.kinds {
		names = append(names, k.Contract.Queue)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// KindPromise is what is promised about a kind, and the schema of its args.
type KindPromise struct {
	Kind                 string          `json:"kind"`
	Queue                string          `json:"queue"`
	TimeoutSeconds       float64         `json:"timeout_seconds" doc:"Longest one attempt may run."`
	MaxAttempts          int             `json:"max_attempts"`
	Retry                string          `json:"retry" doc:"Waits after failed attempts."`
	KeepCompletedHours   float64         `json:"keep_completed_hours"`
	KeepFailedHours      float64         `json:"keep_failed_hours" doc:"Cancelled and discarded."`
	HarmlessTwiceBecause string          `json:"harmless_twice_because"`
	ArgsSchema           json.RawMessage `json:"args_schema" doc:"JSON Schema of the args."`
}

// KindPromises are all kinds of this program, by name.
type KindPromises struct {
	Kinds []KindPromise `json:"kinds"`
}

func (a *API) kindRoutes() {
	var answer struct{ Body KindPromises }
	for _, name := range a.kindNames() {
		c := a.kinds[name].Contract
		answer.Body.Kinds = append(answer.Body.Kinds, KindPromise{
			Kind: name, Queue: c.Queue, TimeoutSeconds: c.Timeout.Seconds(), MaxAttempts: c.MaxAttempts, Retry: c.Retry.Waits(c.MaxAttempts),
			KeepCompletedHours: c.Retention.Completed.Hours(), KeepFailedHours: c.Retention.Failed.Hours(),
			HarmlessTwiceBecause: c.Harmless, ArgsSchema: a.kinds[name].text,
		})
	}
	register(a, route{
		id: "listKinds", method: http.MethodGet, path: "/api/kinds", tag: tagProcess, scope: ScopeRead, status: http.StatusOK,
		summary: "List the job kinds", about: "What is promised about each, and the JSON Schema of its args.",
	}, func(context.Context, *struct{}) (*struct{ Body KindPromises }, error) { return &answer, nil })
}
