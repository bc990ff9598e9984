package periodic

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// SyncAt is Sync at a test's instant.
func SyncAt(ctx context.Context, pool *pgxpool.Pool, entries []Entry, log *slog.Logger, now time.Time) error {
	return syncAt(ctx, pool, entries, log, &now)
}

// What bounds are there, for tests that go beyond them.
const (
	MostPerClaim = mostPerClaim
	MostMissed   = mostMissed
	Lateness     = lateness
	RetryBroken  = retryBroken
	RetryLocked  = retryLocked
	HeldPause    = heldPause
	PollAlone    = pollAlone
)

// PollEvery has a dispatcher look for changes that rarely.
func (d *Dispatcher) PollEvery(poll time.Duration) { d.poll = poll }

// ParseCron reads a cron line in a timezone that no name leads to.
var ParseCron = parseCron

// Changes is when clocks are changed next.
var Changes = changes

// Postponed is when the job of a tick starts.
var Postponed = postponed
