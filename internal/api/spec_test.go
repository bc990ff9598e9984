package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// spec is the served OpenAPI document as a stranger reads it: as JSON, and its schemas, which OpenAPI 3.1
// takes from JSON Schema as they are, by a validator that shares nothing with the one that serves.
type spec struct {
	root       map[string]any
	operations []*operation
	problem    *jsonschema.Schema
}

// operation is one route of the document.
type operation struct {
	id, method, path string
	scope            string
	pattern          *regexp.Regexp
	parameters       []map[string]any
	body             map[string]any     // schema of the request body; nil: it takes none
	takes            *jsonschema.Schema // the same, to check with
	answers          map[int]content
}

// content is what an operation may answer under one status: one of the media, or nothing where there is none.
type content struct {
	media  []string
	schema *jsonschema.Schema // nil: the body is no JSON
}

const documentURL = "https://backoffice.test/openapi.json"

var scopeWord = regexp.MustCompile("Scope: `([a-z]+)`")

// readSpec reads a served document.
func readSpec(t *testing.T, document string) *spec {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(documentURL, parsed); err != nil {
		t.Fatal(err)
	}
	compile := func(pointer ...string) *jsonschema.Schema {
		t.Helper()
		for i := range pointer {
			pointer[i] = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(pointer[i])
		}
		schema, err := compiler.Compile(documentURL + "#/" + strings.Join(pointer, "/"))
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
	s := &spec{root: parsed.(map[string]any), problem: compile("components", "schemas", "Problem")}
	paths := s.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		methods := paths[path].(map[string]any)
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			described := methods[method].(map[string]any)
			op := &operation{
				id: described["operationId"].(string), method: strings.ToUpper(method), path: path,
				scope:   scopeWord.FindStringSubmatch(described["description"].(string))[1],
				pattern: regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"),
			}
			parameters, _ := described["parameters"].([]any)
			for _, p := range parameters {
				op.parameters = append(op.parameters, p.(map[string]any))
			}
			if body, ok := described["requestBody"].(map[string]any); ok {
				op.body = body["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)
				op.takes = compile("paths", path, method, "requestBody", "content", "application/json", "schema")
			}
			op.answers = answersOf(described["responses"].(map[string]any), func(status, media string) *jsonschema.Schema {
				return compile("paths", path, method, "responses", status, "content", media, "schema")
			})
			s.operations = append(s.operations, op)
		}
	}
	return s
}

func answersOf(responses map[string]any, compile func(status, media string) *jsonschema.Schema) map[int]content {
	answers := map[int]content{}
	for status, response := range responses {
		code, _ := strconv.Atoi(status)
		described, _ := response.(map[string]any)["content"].(map[string]any)
		declared := content{media: slices.Sorted(maps.Keys(described))}
		if len(declared.media) == 1 {
			declared.schema = compile(status, declared.media[0])
		}
		answers[code] = declared
	}
	return answers
}

// resolve follows a reference within the document.
func (s *spec) resolve(schema map[string]any) map[string]any {
	for {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		var at any = s.root
		for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(map[string]any)[step]
		}
		schema = at.(map[string]any)
	}
}

// find is the operation that a method and a decoded path lead to, and whether the path is that of any.
func (s *spec) find(method, path string) (op *operation, known bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, candidate := range s.operations {
		if candidate.pattern.MatchString(path) {
			known = true
			if candidate.method == method {
				return candidate, true
			}
		}
	}
	return nil, known
}

// checkTaken says why a body that was taken should not have been.
func (op *operation) checkTaken(body string) error {
	if op.takes == nil || body == "" {
		return nil
	}
	if !utf8.ValidString(body) {
		return fmt.Errorf("a body was taken that is not UTF-8")
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("a body was taken that is not JSON: %w", err)
	}
	if err := op.takes.Validate(withoutNulls(value)); err != nil {
		return fmt.Errorf("a body was taken that the document forbids: %w", err)
	}
	for _, literal := range neverText {
		if strings.Contains(body, literal) {
			return fmt.Errorf("a body was taken that holds %s", literal)
		}
	}
	return nil
}

// withoutNulls leaves out fields that are null, as the server does: some clients write all fields.
func withoutNulls(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = withoutNulls(value[i])
		}
	case map[string]any:
		for name, field := range value {
			if field == nil {
				delete(value, name)
			} else {
				value[name] = withoutNulls(field)
			}
		}
	}
	return value
}

// checkAnswer says how an answer differs from what the document declares for an operation, or from a
// problem where op is nil.
func (s *spec) checkAnswer(op *operation, got answer, withoutBody bool) error {
	declared := content{[]string{problemMedia}, s.problem}
	if op != nil {
		var ok bool
		if declared, ok = op.answers[got.status]; !ok {
			return fmt.Errorf("%s does not declare status %d", op.id, got.status)
		}
	}
	if len(declared.media) == 0 {
		if got.body != "" || got.header.Get("Content-Type") != "" {
			return fmt.Errorf("an answer that has no body has %d bytes of type %q", len(got.body), got.header.Get("Content-Type"))
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if err != nil || !slices.Contains(declared.media, media) {
		return fmt.Errorf("content type = %q, want one of %q", got.header.Get("Content-Type"), declared.media)
	}
	if withoutBody {
		if got.body != "" {
			return fmt.Errorf("an answer to HEAD has a body: %s", got.body)
		}
		return nil
	}
	if declared.schema == nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(got.body))
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	if err := declared.schema.Validate(value); err != nil {
		return fmt.Errorf("the body is not what the document declares: %w", err)
	}
	if media == problemMedia {
		return checkProblem(got)
	}
	return nil
}

const problemMedia = "application/problem+json"

// checkProblem asks of a problem what the schema cannot say.
func checkProblem(got answer) error {
	var p problem
	decoder := json.NewDecoder(bytes.NewReader([]byte(got.body)))
	decoder.DisallowUnknownFields()
	switch err := decoder.Decode(&p); {
	case err != nil:
		return err
	case p.Status != got.status:
		return fmt.Errorf("the problem says status %d, the answer %d", p.Status, got.status)
	case p.Title == "" || p.Detail == "":
		return fmt.Errorf("the problem has no title or no detail")
	case got.status == http.StatusUnprocessableEntity && len(p.Errors) == 0:
		return fmt.Errorf("the problem names no place")
	case len(got.body) > 32<<10:
		return fmt.Errorf("the problem is %d bytes long", len(got.body))
	}
	return nil
}
