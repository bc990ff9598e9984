-- The timetable complete: jitter, and a ledger that can be read by schedule and cut by age.

alter table schedules
  add column jitter interval not null default '0' check (jitter >= '0' and jitter <= interval '1 hour'), -- a tick's job starts up to this much later
  add column created_at timestamptz not null default now(),
  add column changed_at timestamptz not null default now(); -- spec, args or policy; not a pause
create index schedules_next_run_at on schedules (next_run_at) where paused_at is null;
create index schedule_runs_at on schedule_runs (at);
