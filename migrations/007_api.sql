-- What the HTTP API remembers: who may call it, what it has answered, and what operators did.

-- The key itself is shown once, when it is made, and stored nowhere.
create table api_keys (
  id         bigint      generated always as identity primary key,
  name       text        not null check (octet_length(name) between 1 and 100),
  sha256     bytea       not null unique check (octet_length(sha256) = 32), -- of the whole key: 256 random bits need no salt
  last_four  text        not null check (octet_length(last_four) = 4),      -- to recognise a key by
  scopes     text[]      not null check (cardinality(scopes) > 0 and scopes <@ '{enqueue,read,operate}'),
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
create unique index api_keys_name on api_keys (name) where revoked_at is null;

-- The answer to a request that carried an Idempotency-Key, written in the transaction of what it did.
create table idempotency_keys (
  api_key_id  bigint      not null, -- 0: a caller without a key; no foreign key: that is no row
  route       text        not null, -- POST /api/orders
  key         text        not null check (octet_length(key) between 1 and 255),
  body_sha256 bytea       not null check (octet_length(body_sha256) = 32), -- of the request
  status      integer     not null,
  location    text        not null default '',
  body        bytea       not null, -- of the answer
  created_at  timestamptz not null default now(),
  primary key (api_key_id, route, key)
);
create index idempotency_keys_created_at on idempotency_keys (created_at);

-- What operators did: who, what, when, on what. An enqueue is its own record and stands in river_job.
create table audit_log (
  id         bigint      generated always as identity primary key,
  at         timestamptz not null default now(),
  actor      text        not null, -- "key NAME", or "local" where the API asks for no key
  api_key_id bigint,               -- null: no key
  action     text        not null, -- cancel_order, retry_job, cancel_job, pause_queue, resume_queue
  target     text        not null, -- "order 41", "job 123", "queue orders"
  reason     text,
  request_id text                  -- stands in the access log, too
);
create index audit_log_target on audit_log (target, id);
