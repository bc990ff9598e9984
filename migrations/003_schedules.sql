-- The timetable and its ledger: a tick is in schedule_runs once, whoever claimed it.

create table schedules (
  name        text        primary key,
  kind        text        not null,
  args        jsonb       not null default '{}',
  spec        text        not null, -- "every 30s"
  timezone    text        not null default 'UTC',
  catch_up    text        not null default 'latest' check (catch_up in ('all', 'latest', 'skip')),
  built_in    boolean     not null default false, -- declared in the program, which keeps the row up to date
  paused_at   timestamptz,
  next_run_at timestamptz not null
);

create table schedule_runs (
  schedule text        not null, -- no foreign key: the ledger outlives a removed schedule
  tick_at  timestamptz not null,
  job_id   bigint,     -- river_job.id; null for a skipped tick
  outcome  text        not null check (outcome in ('enqueued', 'skipped')),
  at       timestamptz not null default now(),
  primary key (schedule, tick_at)
);
