-- What is deleted when, what must stay, and what each run did.

-- What a hold names is not deleted until the hold is removed, whatever its age.
create table holds (
  id        bigint      generated always as identity primary key,
  target    text        not null, -- a policy's target: temp_files, artifacts
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
  age        interval not null check (age > interval '0'),
  batch_size integer  not null default 1000 check (batch_size between 1 and 100000),
  max_share  numeric(5,4) not null default 1 check (max_share > 0 and max_share <= 1), -- of the target's rows that one run may delete
  enabled    boolean  not null default true
);

-- The audit of deletion: one row per run and policy.
create table cleanup_runs (
  id          bigint      generated always as identity primary key,
  policy      text        not null,
  job_id      bigint,                           -- null: not run by a job
  cutoff      timestamptz not null,
  started_at  timestamptz not null default now(),
  finished_at timestamptz,                      -- null: at work, or its process died
  rows        bigint      not null default 0,
  bytes       bigint      not null default 0,
  held        bigint      not null default 0,   -- rows that a hold kept
  errors      bigint      not null default 0,   -- rows that could not be deleted
  error       text,                             -- the first of them, or why the run was refused
  more        boolean     not null default false -- its time was up: the next run goes on
);
create index cleanup_runs_policy on cleanup_runs (policy, id);
