package api_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestDocumentDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.get("/api/openapi.json")
	if media := got.header.Get("Content-Type"); media != "application/json" {
		t.Errorf("content type = %q", media)
	}
	type operation struct {
		OperationID string `json:"operationId"`
		Description string
		Security    []map[string][]string
		Responses   map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	document := must[struct {
		OpenAPI    string
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]any }
	}](s, got, http.StatusOK)
	if document.OpenAPI != "3.1.0" || len(document.Components.Schemas) == 0 {
		t.Errorf("openapi = %q with %d schemas", document.OpenAPI, len(document.Components.Schemas))
	}
	seen := map[string]bool{}
	for path, operations := range document.Paths {
		for method, op := range operations {
			if op.OperationID == "" || seen[op.OperationID] || len(op.Security) != 1 || !strings.Contains(op.Description, "Scope: `") {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			seen[op.OperationID] = true
			for status, response := range op.Responses {
				if status >= "400" && response.Content["application/problem+json"].Schema["$ref"] != "#/components/schemas/Problem" {
					t.Errorf("%s %s answers %s without a problem", method, path, status)
				}
				if status < "400" && op.OperationID != "downloadReport" && len(response.Content["application/json"].Schema) == 0 {
					t.Errorf("%s %s answers %s without a schema", method, path, status)
				}
			}
		}
	}
	if len(seen) != 28 {
		t.Errorf("%d operations, want 28", len(seen))
	}
}
