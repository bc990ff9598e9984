package migrations_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"backoffice/migrations"
)

// Before its constraints there were, plain SQL could write instants into the timetable that no program can read.
func TestInstantsThatNoProgramCanReadAreMended(t *testing.T) {
	t.Parallel()
	pool := schemaBefore(t, "011")
	exec(t, pool, `insert into schedules (name, kind, spec, next_run_at, paused_at, last_error_at) values
		('never', 'tick', '@daily', '20000-01-01 00:00Z', null, null),
		('long-ago', 'tick', '@daily', '0044-03-15 00:00Z BC', null, '-infinity'),
		('paused', 'tick', '@daily', '2026-01-01 00:00Z', 'infinity', null),
		('sound', 'tick', '@daily', '2026-01-01 00:00Z', '2026-01-02 00:00Z', '2026-01-03 00:00Z')`)
	exec(t, pool, `update schedules set changed_at = 'infinity', created_at = '-infinity' where name = 'paused'`)
	exec(t, pool, `insert into schedule_runs (schedule, tick_at, outcome, at) values
		('sound', 'infinity', 'skipped', now()), ('sound', '2026-01-01 00:00Z', 'skipped', now()), ('sound', '2026-01-02 00:00Z', 'skipped', 'infinity')`)
	exec(t, pool, `insert into schedule_gaps (schedule, from_at, until_at, cause) values
		('sound', '-infinity', '2026-01-01 00:00Z', 'paused'), ('sound', '2026-01-01 00:00Z', 'infinity', 'paused'), ('sound', '2026-01-02 00:00Z', '2026-01-03 00:00Z', 'paused')`)

	must(t, migrations.Up(t.Context(), pool, nil))
	want := []string{
		"long-ago 0001-01-01 - -", "never 9999-12-31 - -", "paused 2026-01-01 now -", "sound 2026-01-01 2026-01-02 2026-01-03",
		"run 2026-01-01 now", "run 2026-01-02 now", "gap 2026-01-02 2026-01-03",
		"changed now, created now",
	}
	got := texts(t, pool, `
		with shown as (select name, next_run_at at time zone 'UTC' as next, paused_at at time zone 'UTC' as paused, last_error_at at time zone 'UTC' as error from schedules)
		(select format('%s %s %s %s', name, to_char(next, 'YYYY-MM-DD'),
		               case when paused > (now() - interval '1 hour') at time zone 'UTC' then 'now' else coalesce(to_char(paused, 'YYYY-MM-DD'), '-') end, coalesce(to_char(error, 'YYYY-MM-DD'), '-'))
		   from shown order by name)
		union all (select format('run %s %s', to_char(tick_at at time zone 'UTC', 'YYYY-MM-DD'), case when at between now() - interval '1 hour' and now() then 'now' end) from schedule_runs order by tick_at)
		union all (select format('gap %s %s', to_char(from_at at time zone 'UTC', 'YYYY-MM-DD'), to_char(until_at at time zone 'UTC', 'YYYY-MM-DD')) from schedule_gaps)
		union all (select format('changed %s, created %s', case when changed_at between now() - interval '1 hour' and now() then 'now' end, case when created_at > now() - interval '1 hour' then 'now' end) from schedules where name = 'paused')`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the timetable (-want +got):\n%s", diff)
	}
}
