package periodic

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"backoffice/internal/postgres"
)

// A row keeps its next tick unless its spec has changed: a restart or a deploy moves no tick.
const syncSQL = `
insert /* periodic.Sync */ into schedules as s (name, kind, args, spec, catch_up, built_in, next_run_at)
values ($1, $2, $3, $4, $5, true, $6)
    on conflict (name) do update
   set kind = excluded.kind,
       args = excluded.args,
       spec = excluded.spec,
       catch_up = excluded.catch_up,
       built_in = true,
       next_run_at = case when s.spec = excluded.spec then s.next_run_at else excluded.next_run_at end
 where (s.kind, s.args, s.spec, s.catch_up, s.built_in)
       is distinct from (excluded.kind, excluded.args, excluded.spec, excluded.catch_up, true)`

// Sync brings the built-in rows of schedules in step with the program. Rows that operators paused stay
// paused; rows it does not know stay untouched.
func Sync(ctx context.Context, db postgres.DB, entries []Entry) error {
	var now time.Time // the clock that the ticks go by
	if err := db.QueryRow(ctx, `select /* periodic.Sync */ now()`).Scan(&now); err != nil {
		return fmt.Errorf("sync schedules: %w", err)
	}
	return syncAt(ctx, db, entries, now)
}

func syncAt(ctx context.Context, db postgres.DB, entries []Entry, now time.Time) error {
	for _, e := range entries {
		schedule, err := ParseSpec(e.Spec)
		if err != nil {
			return fmt.Errorf("schedule %q: %w", e.Name, err)
		}
		args, err := json.Marshal(e.Args)
		if err != nil {
			return fmt.Errorf("schedule %q: encode args: %w", e.Name, err)
		}
		_, err = db.Exec(ctx, syncSQL, e.Name, e.Args.Kind(), string(args), e.Spec, e.CatchUp, schedule.Next(now))
		if err != nil {
			return fmt.Errorf("sync schedule %q: %w", e.Name, err)
		}
	}
	return nil
}
