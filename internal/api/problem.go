package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/order"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/periodic"
)

const problemType = "application/problem+json"

// The API's own refusals; each arrives wrapped in a sentence.
var (
	errInFlight = errors.New("a request with this idempotency key is at work")
	errReused   = errors.New("this idempotency key was used for another request")
	errNeeded   = errors.New("an order depends on this job")
	errInvalid  = errors.New("invalid")
	errBusy     = errors.New("too much at once")

	errCancelling = errors.New("the same report is being cancelled")
)

// statuses is the one place where errors become statuses. The type names what a program may want to tell
// apart within a status.
var statuses = []struct {
	cause      error
	status     int
	kind       string
	retryAfter string // seconds
}{
	{order.ErrNotFound, http.StatusNotFound, "", ""},
	{order.ErrInvalid, http.StatusUnprocessableEntity, "", ""},
	{order.ErrDuplicate, http.StatusConflict, "duplicate-number", ""},
	{order.ErrTooLate, http.StatusConflict, "too-late", ""},
	{order.ErrBusy, http.StatusServiceUnavailable, "busy", "1"},
	{queue.ErrNotFound, http.StatusNotFound, "", ""},
	{queue.ErrInvalid, http.StatusUnprocessableEntity, "", ""},
	{queue.ErrTooLate, http.StatusConflict, "too-late", ""},
	{periodic.ErrNotFound, http.StatusNotFound, "", ""},
	{periodic.ErrInvalid, http.StatusUnprocessableEntity, "", ""},
	{periodic.ErrExists, http.StatusConflict, "duplicate-name", ""},
	{periodic.ErrBuiltIn, http.StatusConflict, "built-in", ""},
	{periodic.ErrBroken, http.StatusConflict, "broken-schedule", ""},
	{report.ErrNotFound, http.StatusNotFound, "", ""},
	{report.ErrInvalid, http.StatusUnprocessableEntity, "", ""},
	{report.ErrTooLate, http.StatusConflict, "too-late", ""},
	{report.ErrNotReady, http.StatusConflict, "report-not-ready", "1"},
	{report.ErrFailed, http.StatusConflict, "report-failed", ""},
	{report.ErrExpired, http.StatusGone, "report-expired", ""},
	{store.ErrNoStore, http.StatusServiceUnavailable, "store-unknown", "60"},
	{errCancelling, http.StatusConflict, "report-being-cancelled", "1"},
	{errBusy, http.StatusServiceUnavailable, "busy", "1"},
	{errInvalid, http.StatusUnprocessableEntity, "", ""},
	{errInFlight, http.StatusConflict, "idempotency-key-in-flight", "1"},
	{errNeeded, http.StatusConflict, "order-not-final", ""},
	{errReused, http.StatusUnprocessableEntity, "idempotency-key-reused", ""},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "timed-out", "5"},
}

// refusal is an error about one place of a request, in one sentence.
type refusal struct {
	cause error
	at    string // body.lines[0].sku; empty: no single place
	text  string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.cause }

func refuse(cause error, at, format string, args ...any) error {
	return refusal{cause: cause, at: at, text: fmt.Sprintf(format, args...)}
}

// inside says where the field of a domain error stands: "body." before "lines[0].sku".
func inside(place string, err error) error {
	field := order.FieldOf(err)
	if field == "" {
		field = queue.FieldOf(err)
	}
	if field == "" {
		field = periodic.FieldOf(err)
	}
	if field == "" {
		return err
	}
	if strings.HasPrefix(field, "[") {
		place = strings.TrimSuffix(place, ".")
	}
	return refusal{cause: err, at: place + field, text: err.Error()}
}

// problemOf turns an error of a handler into the problem that the caller sees, and logs what only we
// should see.
func (a *API) problemOf(ctx context.Context, err error) error {
	if told := (*huma.ErrorModel)(nil); errors.As(err, &told) {
		return told
	}
	p := &huma.ErrorModel{Status: http.StatusInternalServerError}
	retryAfter := ""
	at := slices.IndexFunc(statuses, func(row struct {
		cause            error
		status           int
		kind, retryAfter string
	}) bool {
		return errors.Is(err, row.cause)
	})
	switch {
	case at >= 0:
		row := statuses[at]
		p.Status, p.Detail, retryAfter = row.status, err.Error(), row.retryAfter
		if row.kind != "" {
			p.Type = "urn:backoffice:problem:" + row.kind
		}
		if errors.Is(err, context.DeadlineExceeded) {
			p.Detail = "the request took too long and was given up" + repeating(ctx, "; whether it was carried out is not known: repeat it with the same Idempotency-Key", "; repeat it later")
		}
	case locked(err):
		p.Status, retryAfter = http.StatusServiceUnavailable, "1"
		p.Type, p.Detail = "urn:backoffice:problem:busy", "others hold for long what this request is to change; nothing was done: repeat it later"
	case unavailable(err):
		p.Status, retryAfter = http.StatusServiceUnavailable, "1"
		p.Type, p.Detail = "urn:backoffice:problem:database-unavailable", "the database does not answer; repeat the request later"+repeating(ctx, ", with the same Idempotency-Key", "")
		a.Log.ErrorContext(ctx, "database not available", "request_id", callOf(ctx).id, "error", err)
	case errors.Is(err, context.Canceled):
		p.Status, p.Detail = statusGone, "the caller has left" // which nobody reads
	default:
		p.Detail = "something is wrong here, not with the request; the log tells more under request id " + callOf(ctx).id
		a.Log.ErrorContext(ctx, "request failed", "request_id", callOf(ctx).id, "error", err)
	}
	p.Title = title(p.Status)
	if told := (refusal{}); errors.As(err, &told) && told.at != "" {
		p.Errors = []*huma.ErrorDetail{{Location: told.at, Message: told.text}}
	}
	if retryAfter == "" {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {retryAfter}})
}

// repeating chooses what to say of repeating a request: one that only looks knows no Idempotency-Key.
func repeating(ctx context.Context, changing, looking string) string {
	if callOf(ctx).looks {
		return looking
	}
	return changing
}

// statusGone is what the access log shows of a caller that left before the answer.
const statusGone = 499

func title(status int) string {
	if status == statusGone {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// locked tells a wait for a lock that was given up.
func locked(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "55P03" // lock_not_available
}

// unavailable tells an error of reaching Postgres from one of what was asked of it.
func unavailable(err error) bool {
	var (
		connect *pgconn.ConnectError
		refused *pgconn.PgError
		network net.Error
	)
	switch {
	case errors.As(err, &connect), errors.As(err, &network):
		return true
	case errors.As(err, &refused):
		class := refused.Code[:min(2, len(refused.Code))]
		// 08 connection, 53 out of resources, 57 stopping; 25006 read only; 40 after the last retry
		return class == "08" || class == "53" || class == "57" || class == "40" || refused.Code == "25006"
	}
	return strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}

// writeProblem answers where no handler of huma does.
func writeProblem(w http.ResponseWriter, p *huma.ErrorModel) {
	p.Title = title(p.Status)
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers: it cannot fail
		body = []byte(`{"status":500}`)
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // who asked and left need not be told
}

// problemAt is a problem about one place of a request.
func problemAt(status int, at, format string, args ...any) *huma.ErrorModel {
	p := &huma.ErrorModel{Status: status, Detail: fmt.Sprintf(format, args...)}
	if at != "" {
		p.Errors = []*huma.ErrorDetail{{Location: at, Message: p.Detail}}
	}
	return p
}

const (
	maxDetails = 50  // places that one problem names
	maxEcho    = 100 // bytes of a value that a problem repeats
)

// clarify makes huma's own problems as plain and as short as ours: one sentence, locations, and no more
// of the request than helps.
func clarify(_ huma.Context, _ string, answer any) (any, error) {
	if p, ok := answer.(*huma.ErrorModel); ok {
		return plain(p), nil
	}
	return answer, nil
}

func plain(p *huma.ErrorModel) *huma.ErrorModel {
	for _, d := range p.Errors {
		if at, text, found := strings.Cut(d.Message, ": "); found && d.Location == "body" && strings.HasPrefix(at, "body") {
			d.Location, d.Message, d.Value = at, text, nil // what unmarshalStrict says
		}
		_, number := d.Value.(json.Number)
		if _, integer := d.Value.(int64); (integer || number) && d.Message == "expected string" {
			d.Message = `expected a string, not a JSON number: put it in quotes, like "2.55"`
		}
		d.Value = echo(d.Value)
	}
	if p.Title == "" {
		p.Title = title(p.Status)
	}
	if n := len(p.Errors); n > 0 && (p.Detail == "" || p.Detail == "validation failed") {
		p.Detail = p.Errors[0].Location + ": " + p.Errors[0].Message
		if n > maxDetails {
			p.Detail += " (and more)"
		} else if n > 1 {
			p.Detail += fmt.Sprintf(" (and %d more)", n-1)
		}
	}
	if len(p.Errors) > maxDetails {
		p.Errors = p.Errors[:maxDetails]
	}
	return p
}

// echo is what a problem repeats of a value: short text, numbers and booleans.
func echo(value any) any {
	switch v := value.(type) {
	case string:
		if len(v) > 0 && len(v) <= maxEcho {
			return v
		}
	case json.Number: // which may be out of every reader's range
		return v.String()
	case bool, int64, int:
		return v
	}
	return nil
}

// notFoundAt says which part of the request named what does not exist.
func notFoundAt(at string, err error) error {
	notFound := func(cause error) bool { return errors.Is(err, cause) }
	if slices.ContainsFunc([]error{order.ErrNotFound, queue.ErrNotFound, report.ErrNotFound, periodic.ErrNotFound}, notFound) {
		return refusal{cause: err, at: at, text: err.Error()}
	}
	return err
}

// asModel is the problem within what problemOf answers.
func asModel(err error) *huma.ErrorModel {
	p := &huma.ErrorModel{Status: http.StatusInternalServerError}
	errors.As(err, &p)
	return p
}
