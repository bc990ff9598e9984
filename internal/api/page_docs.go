package api

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docsContent is the OpenAPI document for people, made of the document itself.
type docsContent struct {
	Version string
	About   string
	Base    string // where this API is, as the reader's browser sees it
	Tags    []docsTag
	Schemas []docsSchema
}

type docsTag struct {
	Name, About string
	Operations  []docsOperation
}

type docsOperation struct {
	ID, Method, Path string
	Summary, About   string
	Parameters       []docsField
	Body             *docsType
	Curl             string
	Answers          []docsAnswer // of success
	Problems         []docsAnswer
}

type docsAnswer struct {
	Status  string
	About   string
	Type    *docsType
	Headers []docsField
}

type docsSchema struct {
	Name, About string
	Fields      []docsField
}

// docsField is a parameter, a header or a property.
type docsField struct {
	Name, In string
	Type     docsType
	Required bool
	About    string
	Rules    []string
}

// host is what we repeat of a request's Host header in commands to copy.
var host = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$|^\[[0-9a-f:.]+\](:[0-9]+)?$`)

// serveDocs needs no key, like the document it shows.
func (a *API) serveDocs(w http.ResponseWriter, r *http.Request) {
	base := "http://127.0.0.1:8080"
	if host.MatchString(r.Host) {
		base = "http://" + r.Host
		if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
			base = "https://" + r.Host
		}
	}
	a.render(w, r, view{Title: "API", Section: "docs", template: "docs", Content: docsOf(a.huma.OpenAPI(), base)})
}

func docsOf(doc *huma.OpenAPI, base string) docsContent {
	c := docsContent{Version: doc.Info.Version, About: doc.Info.Description, Base: base}
	for _, tag := range doc.Tags {
		c.Tags = append(c.Tags, docsTag{Name: tag.Name, About: tag.Description})
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Post, item.Get, item.Put, item.Patch, item.Delete} {
			if op == nil || op.Hidden {
				continue
			}
			for i := range c.Tags {
				if slices.Contains(op.Tags, c.Tags[i].Name) {
					c.Tags[i].Operations = append(c.Tags[i].Operations, docsOperationOf(doc, op, base))
				}
			}
		}
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		c.Schemas = append(c.Schemas, docsSchema{Name: name, About: schemas[name].Description, Fields: fieldsOf(schemas[name])})
	}
	return c
}

func docsOperationOf(doc *huma.OpenAPI, op *huma.Operation, base string) docsOperation {
	d := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, About: op.Description}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, parameterOf(p.Name, p))
	}
	if op.RequestBody != nil {
		if media := op.RequestBody.Content[jsonType]; media != nil && media.Schema != nil {
			t := docsTypeOf(media.Schema)
			d.Body = &t
		}
	}
	d.Curl = curlOf(doc, op, base)
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		answer := docsAnswer{Status: status, About: response.Description}
		for _, media := range response.Content {
			if media.Schema != nil {
				t := docsTypeOf(media.Schema)
				answer.Type = &t
			}
		}
		for _, name := range slices.Sorted(maps.Keys(response.Headers)) {
			answer.Headers = append(answer.Headers, parameterOf(name, response.Headers[name]))
		}
		if answer.Type != nil && answer.Type.Ref == "Problem" {
			d.Problems = append(d.Problems, answer)
			continue
		}
		d.Answers = append(d.Answers, answer)
	}
	return d
}

func parameterOf(name string, p *huma.Param) docsField {
	f := docsField{Name: name, In: p.In, Required: p.Required, About: p.Description}
	if p.Schema != nil {
		f.Type, f.Rules = docsTypeOf(p.Schema), rulesOf(p.Schema)
		f.About = cmp.Or(f.About, p.Schema.Description)
	}
	return f
}

// fieldsOf lists the properties of an object, those that are required first.
func fieldsOf(schema *huma.Schema) []docsField {
	var fields []docsField
	for _, name := range propertiesOf(schema) {
		property := schema.Properties[name]
		fields = append(fields, docsField{
			Name: name, Type: docsTypeOf(property), Required: slices.Contains(schema.Required, name),
			About: property.Description, Rules: rulesOf(property),
		})
	}
	return fields
}

// propertiesOf answers the names of an object's properties, the required ones first.
func propertiesOf(schema *huma.Schema) []string {
	names := slices.Sorted(maps.Keys(schema.Properties))
	slices.SortStableFunc(names, func(a, b string) int {
		first := func(name string) int {
			if slices.Contains(schema.Required, name) {
				return 0
			}
			return 1
		}
		return cmp.Compare(first(a), first(b))
	})
	return names
}

// docsType is a type in words, with the schema it leads to.
type docsType struct {
	Text string // "list of ", "string or null"
	Ref  string // Line; empty: Text says it all
}

func docsTypeOf(schema *huma.Schema) docsType {
	switch {
	case schema.Ref != "":
		return docsType{Ref: refName(schema.Ref)}
	case schema.Items != nil:
		item := docsTypeOf(schema.Items)
		return docsType{Text: "list of " + item.Text, Ref: item.Ref}
	}
	text := cmp.Or(schema.Type, "any value")
	switch schema.Format {
	case "date-time", "uri":
		text = schema.Format
	}
	if schema.Nullable {
		text += " or null"
	}
	return docsType{Text: text}
}

func refName(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }
