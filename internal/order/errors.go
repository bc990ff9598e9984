package order

import (
	"errors"
	"fmt"
)

// What callers branch on. Each arrives wrapped in one sentence that names what it is about and what
// to do; the sentence is the whole text of the error.
var (
	ErrNotFound   = errors.New("not found")
	ErrInvalid    = errors.New("invalid")                  // a field of what was given is unusable
	ErrDuplicate  = errors.New("duplicate")                // an order of that number is already stored
	ErrTooLate    = errors.New("too late")                 // the order is final
	ErrNotTracked = errors.New("stock is not tracked")     // the product has no on_hand to change
	ErrTracked    = errors.New("stock is tracked already") // tracking begins once
	ErrBusy       = errors.New("busy")                     // others hold the same orders or products for long; later is soon enough
	ErrMoved      = errors.New("stock moved")              // others took stock that was counted on; try again
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

// sayOf is say about one field of what was given.
func sayOf(field string, cause error, format string, args ...any) error {
	return sentence{text: fmt.Sprintf(format, args...), cause: cause, field: field}
}

// within says where the field of an error stands: "lines[0]." before "quantity".
func within(place string, err error) error {
	told := sentence{}
	if !errors.As(err, &told) || told.field == "" {
		return err
	}
	told.field = place + told.field
	return told
}

// FieldOf answers which field of what was given an error is about, named as in JSON: "currency",
// "lines[0].quantity", and of several drafts "[3].lines[0].quantity". It is empty when the error is
// about no single field.
func FieldOf(err error) string {
	told := sentence{}
	if !errors.As(err, &told) {
		return ""
	}
	return told.field
}
