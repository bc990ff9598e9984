package periodic

import (
	"errors"
	"fmt"
	"strings"
)

// What callers branch on. Each arrives wrapped in one sentence, which is the whole text of the error.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("invalid")            // a field of what was given is unusable
	ErrExists   = errors.New("exists")             // a schedule of that name does
	ErrBuiltIn  = errors.New("the program's own")  // it would be back at the next start
	ErrBroken   = errors.New("cannot be enqueued") // what is stored cannot be turned into a job
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

// FieldOf answers which field of a Draft an error is about, named as in JSON; empty for none.
func FieldOf(err error) string {
	told := sentence{}
	if !errors.As(err, &told) {
		return ""
	}
	return told.field
}

// longestReason bounds what is kept of an error, in bytes.
const longestReason = 1000

// brief is the beginning of a text as Postgres can store it.
func brief(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	if len(text) > longestReason {
		text = strings.ToValidUTF8(text[:longestReason], "") + "..."
	}
	return text
}
