package api

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxBodies is what the bodies of all requests at work may have together, in bytes. Parsed, they take some
// ten times as much.
const maxBodies = 64 << 20

// takeBody reads a request's body, at most limit bytes of JSON, before anything else looks at it, checks it
// against its schema, and remembers its digest.
func (a *API) takeBody(limit int64) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		weight := limit
		if r.ContentLength >= 0 {
			weight = min(limit, r.ContentLength)
		}
		weight = min(weight, maxBodies)
		if !a.bodies.TryAcquire(weight) {
			w.Header().Set("Retry-After", "1")
			p := problemAt(http.StatusServiceUnavailable, "", "too much is being sent at this moment; repeat the request later")
			p.Type = "urn:backoffice:problem:busy"
			writeProblem(w, p)
			return
		}
		defer a.bodies.Release(weight)
		body, p := readBody(r, limit)
		if p == nil {
			p = a.checkBody(ctx.Operation(), body)
		}
		if p != nil {
			writeProblem(w, p)
			return
		}
		callOf(r.Context()).bodySHA256 = sha256.Sum256(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		next(ctx)
	}
}

// checkBody is what huma does with a body, but stops after the first faults; see validate. It leaves an
// empty body to huma, which knows whether there has to be one.
func (a *API) checkBody(op *huma.Operation, body []byte) *huma.ErrorModel {
	if len(body) == 0 {
		return nil
	}
	p := &huma.ErrorModel{Status: http.StatusUnprocessableEntity}
	var parsed any
	if err := unmarshalStrict(body, &parsed); err != nil {
		p.Status = http.StatusBadRequest
		p.Errors = []*huma.ErrorDetail{{Location: "body", Message: err.Error()}}
		return plain(p)
	}
	registry := a.huma.OpenAPI().Components.Schemas
	for _, found := range validate(registry, op.RequestBody.Content[jsonType].Schema, "body", parsed) {
		detail := &huma.ErrorDetail{Location: "body", Message: found.Error()}
		errors.As(found, &detail)
		p.Errors = append(p.Errors, detail)
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return plain(p)
}

func readBody(r *http.Request, limit int64) ([]byte, *huma.ErrorModel) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, problemAt(http.StatusUnsupportedMediaType, "header.Content-Encoding", "a body in encoding %q is not read; send it plain", shortened(encoding))
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return nil, problemAt(http.StatusRequestTimeout, "body", "the body did not arrive in time")
	case err != nil:
		return nil, problemAt(http.StatusBadRequest, "body", "the body broke off or is not what its headers say")
	case int64(len(body)) > limit:
		return nil, tooLarge(limit)
	case len(body) == 0:
		return nil, nil
	}
	given := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	switch {
	case err != nil || media != jsonType || charset != "" && !strings.EqualFold(charset, "utf-8"):
		return nil, problemAt(http.StatusUnsupportedMediaType, "header.Content-Type", "a body of type %q is not read; send %s in UTF-8", shortened(given), jsonType)
	case !utf8.Valid(body):
		return nil, problemAt(http.StatusBadRequest, "body", "the body is not valid UTF-8")
	}
	r.Header.Set("Content-Type", jsonType)
	return body, nil
}

func tooLarge(limit int64) *huma.ErrorModel {
	return problemAt(http.StatusRequestEntityTooLarge, "body", "the body is larger than %d bytes; send less at once", limit)
}
