package report

import (
	"errors"
	"fmt"
)

// What callers branch on. Each arrives wrapped in one sentence that names what it is about and what to do;
// the sentence is the whole text of the error.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("invalid")   // a field of what was asked is unusable; FieldOf names it
	ErrTooLate  = errors.New("too late")  // the report is finished, or is being cancelled
	ErrNotReady = errors.New("not ready") // the report is queued or running; ask again later
	ErrFailed   = errors.New("failed")    // it failed or was cancelled and never gets an artifact
	ErrExpired  = errors.New("expired")   // its artifact was deleted after its retention, or is about to be
)

// sentence is an error whose text is for people and whose cause is one of the sentinels.
type sentence struct {
	text  string
	cause error
	field string // of what was given; see FieldOf
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.cause }

// say wraps cause in a sentence.
func say(cause error, format string, args ...any) error {
	return sentence{text: fmt.Sprintf(format, args...), cause: cause}
}

// Invalid is ErrInvalid about one field, named as in JSON, with a sentence that names the field, too. Types
// refuse parameters with it.
func Invalid(field, format string, args ...any) error {
	return sentence{text: fmt.Sprintf(format, args...), cause: ErrInvalid, field: field}
}

// FieldOf answers which field of a request an error is about: "type", "format", "period", "timezone",
// "params" or a parameter's own name; empty when it is about no single field.
func FieldOf(err error) string {
	told := sentence{}
	if !errors.As(err, &told) {
		return ""
	}
	return told.field
}
