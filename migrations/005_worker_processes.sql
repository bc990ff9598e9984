-- Which worker processes live, and which jobs were in the hands of one that did not.

-- One row per worker process, from its start to its orderly end; a process that is declared dead
-- leaves its row. All times are the database's own.
create table worker_processes (
  client_id        text        primary key check (octet_length(client_id) <= 40), -- the last entry of river_job.attempted_by, and its connections' application_name
  host             text        not null,
  pid              integer     not null,
  version          text        not null,
  queues           text[]      not null,
  poll_only        boolean     not null default false, -- holds no advisory lock, so its heartbeat alone tells
  dead_after       interval    not null default '10 seconds', -- its limit: from which age of its heartbeat on it counts as dead
  started_at       timestamptz not null,
  beat_at          timestamptz not null,
  stopping_at      timestamptz,
  declared_dead_at timestamptz
)
with (fillfactor = 50); -- every row is updated once a second: leave room for its next version on the page

-- How often a job was running in a process that died. No foreign key: River deletes finished jobs.
create table job_crashes (
  job_id         bigint      primary key,
  crash_count    integer     not null check (crash_count > 0),
  last_crash_at  timestamptz not null,
  last_client_id text        not null
);
