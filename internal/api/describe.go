package api

import "github.com/danielgtaylor/huma/v2"

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
	{"WorkerProcess", "condition", []any{"alive", "stopping", "frozen", "silent", "dead"}},
}

var (
	orderStatuses = []any{"placed", "awaiting_stock", "processed", "rejected", "cancelled"}
	jobStates     = []any{"available", "cancelled", "completed", "discarded", "pending", "retryable", "running", "scheduled"}
)

// describe adds to the document what the types of other packages do not say.
func describe(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	for _, e := range enumerations {
		schemas[e.schema].Properties[e.field].Enum = e.values
	}
}
