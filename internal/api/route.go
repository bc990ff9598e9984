package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// route is one operation and what it asks of a caller.
type route struct {
	id, method, path string
	tag, summary     string
	about            string
	scope            Scope
	status           int   // of success
	also             int   // another status of success, with the same body; 0: none
	maxBody          int64 // bytes; 0: it takes no body
	errors           []int // beside those that every route has

	answer    reflect.Type              // of the body, where the handler's output does not tell
	responses map[string]*huma.Response // of success, where no type tells
	streams   bool                      // its answer may take longer than Config.Handle
}

// everyRoute can answer these.
var everyRoute = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
	http.StatusRequestHeaderFieldsTooLarge, http.StatusInternalServerError, http.StatusServiceUnavailable}

// creating are what a route that enqueues can answer: 429 once a queue is full.
var creating = []int{http.StatusConflict, http.StatusTooManyRequests}

var withBody = []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}

// register adds a route: the caller is known and the body read before handle is called, and its errors
// become problems.
func register[I, O any](a *API, r route, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Tags: []string{r.tag}, Summary: r.summary,
		Description:      r.about + "\n\nScope: `" + string(r.scope) + "`.",
		DefaultStatus:    r.status,
		Errors:           append(slices.Clone(everyRoute), r.errors...),
		Security:         []map[string][]string{{securityScheme: {}}},
		Middlewares:      huma.Middlewares{a.authorized(r.scope)},
		MaxBodyBytes:     -1,   // takeBody has read it ...
		SkipValidateBody: true, // ... and checked it
	}
	if r.maxBody > 0 {
		op.Errors = append(op.Errors, withBody...)
		op.Middlewares = append(op.Middlewares, a.takeBody(r.maxBody))
	}
	if !r.streams {
		op.Middlewares = append(op.Middlewares, a.limited)
	}
	op.Responses = r.responses
	if r.answer != nil {
		op.Responses = map[string]*huma.Response{strconv.Itoa(r.status): {
			Description: http.StatusText(r.status),
			Content:     map[string]*huma.MediaType{jsonType: {Schema: a.huma.OpenAPI().Components.Schemas.Schema(r.answer, true, r.id)}},
		}}
	}
	if r.also != 0 {
		op.Responses[strconv.Itoa(r.also)] = &huma.Response{Description: http.StatusText(r.also), Content: op.Responses[strconv.Itoa(r.status)].Content}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.problemOf(ctx, err)
		}
		return out, nil
	})
	if r.also != 0 {
		op.Responses[strconv.Itoa(r.also)].Headers = op.Responses[strconv.Itoa(r.status)].Headers
	}
}
