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
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.cause }

// say wraps cause in a sentence.
func say(cause error, format string, args ...any) error {
	return sentence{text: fmt.Sprintf(format, args...), cause: cause}
}
