package api

import (
	"encoding/json"
	"maps"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// enumerations are the values of fields whose Go types do not list them.
var enumerations = []struct {
	schema, field string
	values        []any
}{
	{"Order", "status", orderStatuses},
	{"Order", "kind", []any{"sale", "credit", "adjustment"}},
	{"PlacedOrder", "status", orderStatuses},
	{"Transition", "from", orderStatuses},
	{"Transition", "to", orderStatuses},
	{"Effect", "effect", []any{"stock", "ledger"}},
	{"Entry", "account", []any{"receivable", "revenue"}},
	{"Line", "kind", []any{"item", "gift", "write_off", "adjustment"}},
	{"OrderJob", "state", jobStates},
	{"Job", "state", jobStates},
	{"JobStory", "state", jobStates},
	{"EnqueuedJob", "state", jobStates},
	{"Schedule", "catch_up", catchUps},
	{"Schedule", "last_outcome", outcomes},
	{"Schedule", "last_job_state", jobStates},
	{"ScheduleStory", "catch_up", catchUps},
	{"ScheduleStory", "last_outcome", outcomes},
	{"ScheduleStory", "last_job_state", jobStates},
	{"ScheduleRun", "outcome", outcomes},
	{"ScheduleRun", "job_state", jobStates},
	{"Report", "status", reportStatuses},
	{"RequestedReport", "status", reportStatuses},
	{"WorkerProcess", "condition", []any{"alive", "stopping", "frozen", "silent", "dead"}},
}

var (
	orderStatuses  = []any{"placed", "awaiting_stock", "processed", "rejected", "cancelled"}
	catchUps       = []any{"all", "latest", "skip"}
	outcomes       = []any{"enqueued", "skipped"}
	jobStates      = []any{"available", "cancelled", "completed", "discarded", "pending", "retryable", "running", "scheduled"}
	reportStatuses = []any{"queued", "running", "completed", "failed", "cancelled"}
)

// problemFields are what a problem always has, and what is said of its fields.
var (
	problemFields = []string{"title", "status", "detail"}
	problemAbout  = map[string]string{
		"type":   "Tells problems of one status apart, as urn:backoffice:problem:too-late; absent where the status says it all.",
		"title":  "The status in words.",
		"status": "The status of the answer.",
		"detail": "What is wrong and how to cure it, in one sentence.",
		"errors": "The places of the request that are wrong, at most 50.",
	}
)

// headersOf are headers of answers by their status, beside those that a handler's output declares.
var headersOf = map[int]map[string]string{
	401: {"WWW-Authenticate": "Bearer, and what is wrong with the key."},
	409: {"Retry-After": "Seconds; only where the conflict passes: the first request with the same Idempotency-Key is at work, a report is not completed yet."},
	429: {"Retry-After": "Seconds."},
	503: {"Retry-After": "Seconds."},
}

// describe adds to the document what the types of other packages do not say.
func describe(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	for _, e := range enumerations {
		schemas[e.schema].Properties[e.field].Enum = e.values
	}
	problem := schemas["Problem"]
	problem.Required = problemFields
	delete(problem.Properties, "instance") // the request id tells an occurrence
	for name, about := range problemAbout {
		problem.Properties[name].Description, problem.Properties[name].Examples = about, nil
	}
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Delete} {
			if op != nil {
				describeHeaders(op)
			}
		}
	}
}

func describeHeaders(op *huma.Operation) {
	for status, headers := range headersOf {
		response := op.Responses[strconv.Itoa(status)]
		if response == nil {
			continue
		}
		if response.Headers == nil {
			response.Headers = map[string]*huma.Header{}
		}
		for name, about := range headers {
			response.Headers[name] = &huma.Header{Description: about, Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
}

// documentOf writes the document as OpenAPI knows it: what huma adds to schemas becomes an extension.
func documentOf(doc *huma.OpenAPI) ([]byte, error) {
	text, err := doc.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var parsed any
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, err
	}
	extend(parsed)
	return json.Marshal(parsed)
}

// extend renames patternDescription, wherever it stands.
func extend(value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			extend(item)
		}
	case map[string]any:
		if about, found := value["patternDescription"].(string); found {
			delete(value, "patternDescription")
			value["x-pattern-description"] = about
		}
		for item := range maps.Values(value) {
			extend(item)
		}
	}
}
