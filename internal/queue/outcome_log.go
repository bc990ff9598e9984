package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// outcomeLog writes one line for each attempt's outcome and counts it.
type outcomeLog struct {
	river.MiddlewareDefaults
	log   *slog.Logger
	tally *Tally
}

type outcomeKey struct{}

// noteOutcome tells the log and the pilot what a fenced transaction has committed; the worker itself
// only returns nil.
func noteOutcome(ctx context.Context, outcome Outcome) {
	if noted, ok := ctx.Value(outcomeKey{}).(*Outcome); ok {
		*noted = outcome
	}
	if token, ok := ctx.Value(tokenCtxKey{}).(*token); ok {
		token.Ended = outcome.state
	}
}

func (l *outcomeLog) Work(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
	started := time.Now()
	noted := Completed()
	panicked := true
	var err error
	l.tally.Running.Add(1)
	defer func() {
		l.tally.Running.Add(-1)
		attrs := []any{"kind", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "took", time.Since(started)}
		l.write(ctx, attrs, job.Attempt >= job.MaxAttempts, noted, err, panicked)
	}()
	err = work(context.WithValue(ctx, outcomeKey{}, &noted))
	panicked = false
	return err
}

// write words an attempt's outcome and counts it.
func (l *outcomeLog) write(ctx context.Context, attrs []any, lastAttempt bool, noted Outcome, err error, panicked bool) {
	var cancelled *rivertype.JobCancelError
	var snoozed *rivertype.JobSnoozeError
	switch {
	case panicked:
		l.tally.Failed.Add(1)
		l.log.ErrorContext(ctx, "job panicked", append(attrs, "last_attempt", lastAttempt)...)
	case err == nil && noted.state == rivertype.JobStateCancelled:
		l.tally.Cancelled.Add(1)
		l.log.InfoContext(ctx, "job cancelled", append(attrs, "reason", noted.reason)...)
	case err == nil:
		l.tally.Completed.Add(1)
		if l.log.Enabled(ctx, slog.LevelInfo) { // by far the most lines: words nobody reads cost as much as a job that does nothing
			l.log.InfoContext(ctx, "job completed", attrs...)
		}
	case errors.Is(err, ErrAttemptLost):
		l.tally.Lost.Add(1)
		l.log.WarnContext(ctx, "attempt lost", attrs...)
	case errors.As(err, &snoozed):
		l.tally.Snoozed.Add(1)
		l.log.InfoContext(ctx, "job snoozed", append(attrs, "duration", snoozed.Duration)...)
	case errors.As(err, &cancelled):
		l.tally.Cancelled.Add(1)
		l.log.InfoContext(ctx, "job cancelled", append(attrs, "reason", err)...)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		l.tally.Interrupted.Add(1)
		l.log.InfoContext(ctx, "job interrupted", append(attrs, "cause", context.Cause(ctx))...)
	default:
		l.tally.Failed.Add(1)
		l.log.WarnContext(ctx, "job failed", append(attrs, "error", err, "last_attempt", lastAttempt)...)
	}
}

// Tally counts the outcomes of a worker process's attempts since it started.
type Tally struct {
	Running     atomic.Int64 // attempts in flight now
	Completed   atomic.Int64
	Cancelled   atomic.Int64 // by the worker or by a person
	Failed      atomic.Int64 // an error, a time-out or a panic; the job is retried or discarded
	Snoozed     atomic.Int64
	Interrupted atomic.Int64 // by a stop; the attempt is given back
	Lost        atomic.Int64 // the attempt was no longer ours
}

// Warnings passes on what is logged from warning up.
func Warnings(h slog.Handler) slog.Handler { return warnings{h} }

type warnings struct{ slog.Handler }

// Enabled answers for warnings and errors only.
func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the limit on derived loggers.
func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the limit on derived loggers.
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
