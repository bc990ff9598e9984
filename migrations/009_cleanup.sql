-- What is deleted when, what must stay, and what each run did.

-- What a hold names is not deleted until the hold is removed, whatever its age.
create table holds (
  id        bigint      generated always as identity primary key,
  target    text        not null, -- the table: temp_files, artifacts
  key       text        not null, -- the row's key as text
  reason    text        not null check (octet_length(reason) between 1 and 1000),
  placed_by text        not null,
  placed_at timestamptz not null default now(),
  unique (target, key)
);

-- One row per target; the built-in ones are inserted by the program, which leaves changed rows as they are.
create table retention_policies (
  name       text     primary key,              -- temp-files
  target     text     not null unique,          -- temp_files: what the program knows how to delete
  age        interval not null check (age >= interval '0'), -- of artifacts: since they expired
  batch_size integer  not null default 1000 check (batch_size between 1 and 100000),
  max_share  numeric(5,4) not null default 1 check (max_share > 0 and max_share <= 1), -- of the target's rows that one run may delete
  enabled    boolean  not null default true
);

-- The audit of deletion: one row for what one job did by one policy. A job that goes on after its time was
-- up, or after a crash, goes on with its rows.
create table cleanup_runs (
  id          bigint      generated always as identity primary key,
  policy      text        not null,
  target      text        not null,
  job_id      bigint,                           -- river_job.id; null: not run by a job
  job_done    boolean     not null default false, -- until then another attempt of the job goes on with this row
  dry_run     boolean     not null default false, -- nothing was deleted: rows, bytes and the rest tell what would have been
  cutoff      timestamptz not null,             -- what is older goes
  started_at  timestamptz not null default now(),
  finished_at timestamptz,                      -- null: at work, its time was up, or its process died
  rows        bigint      not null default 0,
  bytes       bigint      not null default 0,
  held        bigint      not null default 0,   -- rows that a hold kept
  errors      bigint      not null default 0,   -- rows that could not be deleted
  error       text,                             -- the first of them, or why the run was refused or failed
  refused     boolean     not null default false,
  oldest      timestamptz,                      -- of the rows that went
  newest      timestamptz,
  sample      text[]      not null default '{}', -- some of them
  set_hash    numeric     not null default 0,   -- sum over the rows of the first 128 bits of sha256 of target, space and key: equal sets, equal sums
  cursor_at   timestamptz,                      -- age and key of the last row looked at
  cursor_key  text        not null default ''
);
create index cleanup_runs_policy on cleanup_runs (policy, id);
create index cleanup_runs_started_at on cleanup_runs (started_at, id);
create index cleanup_runs_open on cleanup_runs (job_id) where not job_done;

-- Artifacts that are being deleted, for the run that finishes what another one began.
create index artifacts_deleting on artifacts (report_id) where deleting_at is not null;

-- How far the sweep has come that looks for orders whose job was lost: one row.
create table order_sweep (
  one         boolean     primary key default true check (one),
  next_id     bigint      not null default 0, -- orders below it are still to be looked at
  started_at  timestamptz not null default '-infinity',
  finished_at timestamptz default '-infinity' -- null: under way
);
insert into order_sweep default values;
