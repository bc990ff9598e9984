package queue

import (
	"errors"
	"fmt"
)

// What callers that look at jobs and queues branch on. Each arrives wrapped in one sentence, which is
// the whole text of the error.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("invalid")
	ErrTooLate  = errors.New("too late") // the job is in no state to be treated so
)

// sentence is an error whose text is for people and whose cause is one of the sentinels.
type sentence struct {
	text  string
	cause error
	field string // of what was given; empty: of none
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.cause }

func say(cause error, field, format string, args ...any) error {
	return sentence{text: fmt.Sprintf(format, args...), cause: cause, field: field}
}

// FieldOf answers which field of what was given an error is about, empty for none.
func FieldOf(err error) string {
	told := sentence{}
	if !errors.As(err, &told) {
		return ""
	}
	return told.field
}

func noJob(id int64) error { return say(ErrNotFound, "", "job %d does not exist", id) }
