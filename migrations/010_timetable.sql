-- The timetable complete: jitter, what stands in the way of a schedule, and a ledger that can be read by
-- schedule and cut by age.

alter table schedules
  alter column next_run_at set default now(), -- the dispatcher goes on to the first tick at or after it
  add column jitter        interval    not null default '0' check (jitter >= '0' and jitter <= interval '1 hour'), -- a tick's job starts up to this much later
  add column created_at    timestamptz not null default now(),
  add column changed_at    timestamptz not null default now(), -- since when it goes by this spec and timezone
  add column last_error    text,        -- why its ticks cannot be enqueued; null: they can
  add column last_error_at timestamptz, -- when that was found last
  add constraint schedules_next_run_at_check check (isfinite(next_run_at)), -- one beyond all others can neither be waited for nor shown
  add constraint schedules_name_check check (octet_length(name) <= 64 and name ~ '^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$');
create index schedules_next_run_at on schedules (next_run_at) where paused_at is null;
create index schedule_runs_at on schedule_runs (at);
create index schedule_runs_missed on schedule_runs (schedule, tick_at) where outcome = 'skipped' and job_id is null;

comment on column schedule_runs.job_id is 'river_job.id; of a skipped tick the unfinished job that it would have repeated, or null: it was missed and not caught up';

-- Ticks that are left out of the ledger on purpose, a row for all that follow each other. Every other tick
-- since schedules.changed_at and before next_run_at is in schedule_runs.
create table schedule_gaps (
  schedule text        not null, -- no foreign key: like the ledger, it outlives the schedule
  from_at  timestamptz not null, -- the first tick that is left out
  until_at timestamptz not null, -- the first one that is not
  cause    text        not null check (cause in ('paused', 'outage')), -- outage: too many were missed to list each
  at       timestamptz not null default now(),
  primary key (schedule, from_at),
  check (until_at > from_at)
);

-- Dispatchers sleep until the next tick; a change may bring it nearer. They move next_run_at on themselves,
-- of which nobody needs to be told.
create function schedules_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify('backoffice_schedules', '');
  return null;
end
$$;
create trigger schedules_notify after insert or update of spec, timezone, paused_at on schedules
  for each statement execute function schedules_notify();
