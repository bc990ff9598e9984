package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// rulesOf says what a schema asks of a value beside its type.
func rulesOf(schema *huma.Schema) (rules []string) {
	say := func(format string, args ...any) { rules = append(rules, fmt.Sprintf(format, args...)) }
	if len(schema.Enum) > 0 {
		var values []string
		for _, value := range schema.Enum {
			values = append(values, fmt.Sprint(value))
		}
		say("one of %s", strings.Join(values, ", "))
	}
	if pattern := cmp.Or(schema.PatternDescription, schema.Pattern); pattern != "" {
		say("%s", pattern)
	}
	bounds := func(unit string, least, most *int) {
		switch {
		case least != nil && most != nil:
			say("%d to %d %s", *least, *most, unit)
		case least != nil:
			say("at least %d %s", *least, unit)
		case most != nil:
			say("at most %d %s", *most, unit)
		}
	}
	bounds("characters", schema.MinLength, schema.MaxLength)
	bounds("items", schema.MinItems, schema.MaxItems)
	switch {
	case schema.Minimum != nil && schema.Maximum != nil:
		say("%.0f to %.0f", *schema.Minimum, *schema.Maximum)
	case schema.Minimum != nil:
		say("%.0f or more", *schema.Minimum)
	case schema.Maximum != nil:
		say("%.0f or less", *schema.Maximum)
	}
	if schema.Default != nil {
		say("default %v", schema.Default)
	}
	return rules
}

// curlOf is a command that asks for op, to copy into a shell.
func curlOf(doc *huma.OpenAPI, op *huma.Operation, base string) string {
	var lines []string
	path := op.Path
	keyed := false
	for _, p := range op.Parameters {
		keyed = keyed || p.Name == "Idempotency-Key"
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", fmt.Sprint(cmp.Or(exampleOf(p.Example, p.Schema), any(41))))
		}
	}
	command := "curl " + base + path
	if op.Method != http.MethodGet {
		command = "curl -X " + op.Method + " " + base + path
	}
	lines = append(lines, command, `-H "Authorization: Bearer $BACKOFFICE_API_KEY"`)
	if keyed {
		lines = append(lines, `-H "Idempotency-Key: $(uuidgen)"`)
	}
	if op.RequestBody != nil {
		if media := op.RequestBody.Content[jsonType]; media != nil && media.Schema != nil {
			lines = append(lines, `-H 'Content-Type: application/json'`, `-d `+quoted(exampleBody(doc, media.Schema)))
		}
	}
	return strings.Join(lines, " \\\n  ")
}

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// exampleOf is the example that a parameter or its schema gives, nil for none.
func exampleOf(given any, schema *huma.Schema) any {
	if given == nil && schema != nil && len(schema.Examples) > 0 {
		return schema.Examples[0]
	}
	return given
}

// exampleBody is a body that schema accepts: what is required, and what the document has an example of.
func exampleBody(doc *huma.OpenAPI, schema *huma.Schema) string {
	var body bytes.Buffer
	writeExample(&body, doc, schema)
	return body.String()
}

func writeExample(w *bytes.Buffer, doc *huma.OpenAPI, schema *huma.Schema) {
	if schema.Ref != "" {
		schema = doc.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	switch example := exampleOf(nil, schema); {
	case example != nil:
		writeJSON(w, example)
	case schema.Type == huma.TypeObject:
		w.WriteByte('{')
		for _, name := range propertiesOf(schema) {
			property := schema.Properties[name]
			if !slices.Contains(schema.Required, name) && len(property.Examples) == 0 {
				continue
			}
			if w.Bytes()[w.Len()-1] != '{' {
				w.WriteByte(',')
			}
			writeJSON(w, name)
			w.WriteByte(':')
			writeExample(w, doc, property)
		}
		w.WriteByte('}')
	case schema.Type == huma.TypeArray:
		w.WriteByte('[')
		writeExample(w, doc, schema.Items)
		w.WriteByte(']')
	case len(schema.Enum) > 0:
		writeJSON(w, schema.Enum[0])
	case schema.Type == huma.TypeInteger, schema.Type == huma.TypeNumber:
		w.WriteByte('1')
	case schema.Type == huma.TypeBoolean:
		w.WriteString("true")
	case schema.Format == "date-time":
		w.WriteString(`"2026-03-04T12:00:00Z"`)
	default:
		w.WriteString(`"text"`)
	}
}

func writeJSON(w *bytes.Buffer, value any) {
	encoded, err := json.Marshal(value)
	if err != nil { // what was read from a struct's tags: it cannot fail
		encoded = []byte("null")
	}
	w.Write(encoded)
}
