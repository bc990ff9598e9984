package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"backoffice/internal/order"
)

func TestErrorIsOneLineWithItsExitCode(t *testing.T) {
	t.Parallel()
	live := t.Context()
	ended, cancel := context.WithCancel(live)
	cancel()
	for _, tc := range []struct {
		name     string
		ctx      context.Context
		err      error
		sentence string
		code     int
	}{
		{"a failure", live, errors.New("list orders: refused"), "list orders: refused", exitFailed},
		{"two failures", live, errors.Join(errors.New("one"), errors.New("two")), "one; two", exitFailed},
		{"wrong usage, wrapped", live, fmt.Errorf("enqueue: %w", usagef("--at is wrong")), "enqueue: --at is wrong", exitUsage},
		{"an order that cannot be", live, fmt.Errorf("place: %w", order.ErrInvalid), "place: invalid", exitUsage},
		{"a bare interrupt", ended, context.Canceled, "interrupted", exitFailed},
		{"an interrupt that stopped something", ended, fmt.Errorf("list orders: %w", context.Canceled), "interrupted: list orders", exitFailed},
		{"an interrupt with advice", ended, errors.Join(errors.New("job 4 goes on"), context.Canceled), "interrupted: job 4 goes on", exitFailed},
		{"a failure beside an interrupt", ended, errors.New("disk full"), "disk full", exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := sentenceOf(tc.ctx, tc.err); got != tc.sentence {
				t.Errorf("sentence = %q, want %q", got, tc.sentence)
			}
			if got := exitCode(tc.err); got != tc.code {
				t.Errorf("exit code = %d, want %d", got, tc.code)
			}
		})
	}
}
