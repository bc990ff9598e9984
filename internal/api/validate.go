package api

import (
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// maxMembers is far more than any object of ours has.
const maxMembers = 100

// validation checks a value against a schema as huma does, and stops once it has found more than a problem
// names: huma alone makes an error for each of a hundred thousand wrong lines.
type validation struct {
	registry huma.Registry
	found    huma.ValidateResult
}

// validate answers what is wrong with a value, a little more than maxDetails at most.
func validate(registry huma.Registry, schema *huma.Schema, place string, value any) []error {
	v := validation{registry: registry}
	v.value(schema, huma.NewPathBuffer([]byte(place), len(place)), value)
	return v.found.Errors
}

func (v *validation) enough() bool { return len(v.found.Errors) > maxDetails }

func (v *validation) value(schema *huma.Schema, at *huma.PathBuffer, value any) {
	for schema.Ref != "" {
		schema = v.registry.SchemaFromRef(schema.Ref)
	}
	switch value := value.(type) {
	case []any:
		if schema.Type == huma.TypeArray {
			v.array(schema, at, value)
			return
		}
	case map[string]any:
		if len(value) > maxMembers {
			v.found.Addf(at, nil, "has %d members; no object here has as many as %d", len(value), maxMembers)
			return
		}
		if schema.Type == huma.TypeObject {
			v.object(schema, at, value)
			return
		}
	}
	huma.Validate(v.registry, schema, at, huma.ModeWriteToServer, value, &v.found)
}

// array checks the number of items, then one after the other.
func (v *validation) array(schema *huma.Schema, at *huma.PathBuffer, items []any) {
	number := *schema
	number.Items = &huma.Schema{}
	before := len(v.found.Errors)
	huma.Validate(v.registry, &number, at, huma.ModeWriteToServer, items, &v.found)
	if len(v.found.Errors) > before {
		return
	}
	for i, item := range items {
		if v.enough() {
			return
		}
		at.PushIndex(i)
		v.value(schema.Items, at, item)
		at.Pop()
	}
}

// object checks the members that are lists apart from all others.
func (v *validation) object(schema *huma.Schema, at *huma.PathBuffer, members map[string]any) {
	flat, lists := *schema, []string{}
	for name, property := range schema.Properties {
		if property.Type == huma.TypeArray {
			lists = append(lists, name)
		}
	}
	if len(lists) > 0 {
		flat.Properties = maps.Clone(schema.Properties)
		for _, name := range lists {
			if _, given := members[name].([]any); given {
				flat.Properties[name] = &huma.Schema{}
			}
		}
	}
	huma.Validate(v.registry, &flat, at, huma.ModeWriteToServer, members, &v.found)
	slices.Sort(lists)
	for _, name := range lists {
		if items, given := members[name].([]any); given {
			at.Push(name)
			v.value(schema.Properties[name], at, items)
			at.Pop()
		}
	}
}
