-- Reports and the bytes they are made of: a report is complete or absent.

-- Finds the orders of a period. A block range index costs an insert next to nothing, and orders of one
-- period lie together, because they came in together.
create index orders_placed_at on orders using brin (placed_at) with (pages_per_range = 32, autosummarize = on);
-- A customer's orders, newest last; guests need none.
create index orders_customer on orders (customer_id, id) where customer_id is not null;

create table reports (
  id            bigint      generated always as identity primary key,
  job_id        bigint      not null unique, -- river_job.id; no foreign key: finished jobs are deleted
  type          text        not null,
  version       integer     not null,        -- of the type's parameters and columns
  format        text        not null check (format in ('csv', 'jsonl', 'xlsx', 'pdf', 'html')),
  params        jsonb       not null,        -- all of them, defaults included; a period as its first and last day
  status        text        not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
  requested_at  timestamptz not null default now(),
  started_at    timestamptz,
  finished_at   timestamptz,
  watermark     bigint,                      -- highest id of the append-only table that drives the type; set when the work begins
  rows          bigint      not null default 0, -- written so far, and in all once completed
  bytes         bigint      not null default 0,
  done          double precision not null default 0 check (done between 0 and 1), -- share of the work
  error         text,                        -- why it failed, or why the last attempt did
  expired_at    timestamptz,                 -- when its artifact was marked for deletion
  check ((status in ('completed', 'failed', 'cancelled')) = (finished_at is not null))
);
create index reports_unfinished on reports (id) where status in ('queued', 'running');
-- A completed report that answers the same request again.
create index reports_answered on reports (type, format, md5(params::text), id) where status = 'completed' and expired_at is null;

-- The manifest of a completed report; it appears in the transaction that completes the report's job.
create table artifacts (
  report_id    bigint      primary key,
  content_type text        not null,
  file_name    text        not null,
  rows         bigint      not null,
  bytes        bigint      not null,
  sha256       bytea       not null check (octet_length(sha256) = 32), -- of all parts, one after the other
  parts        integer     not null,
  took         interval    not null,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz not null,
  deleting_at  timestamptz                   -- set once nothing forbids deletion; from then on nobody can read it
);
create index artifacts_expires_at on artifacts (expires_at);

-- The pieces of an artifact in order. Those of an unfinished report are what it resumes from.
create table artifact_parts (
  report_id  bigint      not null,
  part_no    integer     not null check (part_no > 0),
  location   text        not null unique,    -- postgres:reports/41/1-x, file:reports/41/1-x
  rows       bigint,                         -- null: the format does not break between rows
  bytes      bigint      not null,
  sha256     bytea       not null check (octet_length(sha256) = 32), -- of this part
  hash_state bytea       not null,           -- of the hash over all parts up to this one, to go on from
  last_id    bigint      not null,           -- up to which id of the driving table the parts reach
  created_at timestamptz not null default now(),
  primary key (report_id, part_no)
);

-- What may be deleted once it is old: parts of unfinished artifacts, downloads prepared for people,
-- whatever another service registers by SQL. The row is written before the object.
create table temp_files (
  id          bigint      generated always as identity primary key,
  location    text        not null unique check (octet_length(location) between 1 and 1000), -- postgres:PATH or file:PATH below the store's root
  bytes       bigint      not null default 0 check (bytes >= 0), -- 0: not known yet
  created_at  timestamptz not null default now(),
  deleting_at timestamptz
);
create index temp_files_created_at on temp_files (created_at, id);
create index temp_files_deleting on temp_files (id) where deleting_at is not null;

-- The store postgres: keeps objects here, in chunks that a reader can skip. Paths are compared byte for byte,
-- as in every store.
create table stored_objects (
  path       text        collate "C" primary key check (octet_length(path) between 1 and 1000),
  bytes      bigint      not null,
  created_at timestamptz not null default now()
);
-- Which database this is, to whoever keeps objects of it elsewhere: a folder of two would be swept by both.
create table store_identity (
  id  uuid    not null default gen_random_uuid(),
  one boolean primary key default true check (one) -- one row
);
insert into store_identity default values;
create table stored_chunks (
  path    text    collate "C" not null references stored_objects on delete cascade,
  n       integer not null, -- from 0; each but the last has the same size
  content bytea   not null,
  primary key (path, n)
);
alter table stored_chunks alter column content set storage external; -- most formats are compressed already, and a reader skips within a chunk
