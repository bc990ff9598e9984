package report

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Parameter is one field of a type's parameters, for people and programs that ask for reports.
type Parameter struct {
	Name    string
	Type    string // of its JSON value: string, integer, boolean, list of string
	About   string // the field's doc tag
	Needed  bool   // there is no report without it
	Default any    // as JSON; nil: none
}

// Parameters answers what can be given to the type, in the order of its fields.
func (t Type) Parameters() []Parameter {
	empty, given := t.NewParams(), map[string]any{}
	if empty.Complete() != nil { // it wants a period
		given = map[string]any{"from": "2000-01-01", "to": "2000-01-01"}
		empty = t.NewParams()
		_ = json.Unmarshal([]byte(`{"from": "2000-01-01", "to": "2000-01-01"}`), empty)
		_ = empty.Complete() // what else has to be given has no default
	}
	var defaults map[string]any
	if encoded, err := json.Marshal(empty); err == nil {
		_ = json.Unmarshal(encoded, &defaults) // an object, as every Params
	}
	return parametersOf(reflect.TypeOf(empty).Elem(), defaults, given)
}

func parametersOf(fields reflect.Type, defaults, given map[string]any) (found []Parameter) {
	for i := range fields.NumField() {
		field := fields.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			found = append(found, parametersOf(field.Type, defaults, given)...)
		case name != "" && name != "-":
			p := Parameter{Name: name, Type: jsonType(field.Type), About: field.Tag.Get("doc"), Default: defaults[name]}
			if given[name] != nil {
				p.Needed, p.Default = true, nil
			}
			found = append(found, p)
		}
	}
	return found
}

// jsonType names a type as JSON Schema does.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "list of " + jsonType(t.Elem())
	}
	return "string"
}
