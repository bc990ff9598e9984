package periodic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// Sync brings the built-in rows of schedules in step with the program. A schedule keeps its next tick unless
// its spec or timezone has changed: a restart or a deploy moves no tick. Those that operators paused stay
// paused, and those they resumed stay resumed; rows the program does not know stay untouched. One that another
// transaction holds is logged and left as it is until the next start: no worker process may wait for it.
func Sync(ctx context.Context, pool *pgxpool.Pool, entries []Entry, log *slog.Logger) error {
	return syncAt(ctx, pool, entries, log, nil)
}

func syncAt(ctx context.Context, pool *pgxpool.Pool, entries []Entry, log *slog.Logger, clock *time.Time) error {
	for _, e := range entries {
		err := postgres.InTxBegunBy(ctx, pool, beginSQL, func(tx pgx.Tx) error { return e.sync(ctx, tx, clock) })
		var refused *pgconn.PgError
		if errors.As(err, &refused) && aboutOthers(refused.Code) {
			log.WarnContext(ctx, "schedule left as it is until the next start: another transaction holds it", "schedule", e.Name, "error", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("sync schedule %q: %w", e.Name, err)
		}
	}
	return nil
}

const lockEntrySQL = `
select /* periodic.Sync */ spec, timezone
  from schedules
 where name = $1
   for update`

// Several processes start at once: the first inserts.
const insertEntrySQL = `
insert /* periodic.Sync */ into schedules (name, kind, args, spec, timezone, catch_up, jitter, built_in, next_run_at, created_at, changed_at, paused_at)
values ($1, $2, $3, $4, $5, $6, $7, true, $8, $9, $9, case when $10 then $9::timestamptz end)
    on conflict (name) do nothing`

const updateEntrySQL = `
update /* periodic.Sync */ schedules
   set kind = $2,
       args = $3,
       catch_up = $4,
       jitter = $5,
       built_in = true
 where name = $1
   and (kind, args, catch_up, jitter, built_in) is distinct from ($2, $3::jsonb, $4, $5, true)`

// Ticks of the old spec that nobody has dispatched are not made up for.
const respecSQL = `
update /* periodic.Sync */ schedules
   set spec = $2,
       timezone = $3,
       next_run_at = $4,
       changed_at = $5
 where name = $1`

func (e Entry) sync(ctx context.Context, tx pgx.Tx, clock *time.Time) error {
	if e.Timezone == "" {
		e.Timezone = "UTC"
	}
	schedule, err := ParseSpec(e.Spec, e.Timezone)
	if err != nil {
		return err
	}
	args, err := json.Marshal(e.Args)
	if err != nil {
		return fmt.Errorf("encode args: %w", err)
	}
	var spec, timezone string
	err = tx.QueryRow(ctx, lockEntrySQL, e.Name).Scan(&spec, &timezone)
	missing := errors.Is(err, pgx.ErrNoRows)
	if err != nil && !missing {
		return err
	}
	now, err := read(ctx, tx, clock)
	switch {
	case err != nil:
		return err
	case missing:
		_, err = tx.Exec(ctx, insertEntrySQL, e.Name, e.Args.Kind(), string(args), e.Spec, e.Timezone, e.CatchUp, e.Jitter, schedule.Next(now), now, e.Off)
		return err
	}
	if _, err = tx.Exec(ctx, updateEntrySQL, e.Name, e.Args.Kind(), string(args), e.CatchUp, e.Jitter); err != nil {
		return err
	}
	if spec != e.Spec || timezone != e.Timezone {
		_, err = tx.Exec(ctx, respecSQL, e.Name, e.Spec, e.Timezone, schedule.Next(now), now)
	}
	return err
}

const clockSQL = `select /* periodic.clock */ clock_timestamp()`

// read is the instant by the clock that ticks go by: a test's, or the database's. It is asked once the
// schedule's row is locked: no dispatcher settles a tick between this instant and the change.
func read(ctx context.Context, tx pgx.Tx, clock *time.Time) (now time.Time, err error) {
	if clock != nil {
		return *clock, nil
	}
	if err := tx.QueryRow(ctx, clockSQL).Scan(&now); err != nil {
		return now, fmt.Errorf("read the database's clock: %w", err)
	}
	return now, nil
}
