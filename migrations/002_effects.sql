-- What processing an order causes. None of these tables has a foreign key to orders or products:
-- order.Process holds the locks of both while it writes, so a key would only repeat that lookup on
-- the hottest path; order_lines' key keeps an order with lines from ever being deleted.

-- One row per change an order has caused. The key makes a repeated attempt harmless.
create table order_effects (
  order_id   bigint      not null,
  effect     text        not null check (effect in ('stock', 'ledger')),
  job_id     bigint,     -- river_job.id; no foreign key: finished jobs are deleted
  applied_at timestamptz not null,
  primary key (order_id, effect)
);

-- Append-only history of status changes. The id is the watermark of exports: its sequence must keep cache 1.
create table order_transitions (
  id          bigint      generated always as identity primary key,
  order_id    bigint      not null,
  from_status text        not null,
  to_status   text        not null,
  at          timestamptz not null,
  job_id      bigint      -- null: a person or another program, not a job
);
create index order_transitions_order on order_transitions (order_id);

-- Every change of a tracked product's on_hand; their sum per sku is on_hand.
create table stock_movements (
  id       bigint      generated always as identity primary key,
  sku      text collate "C" not null,
  quantity integer     not null check (quantity <> 0 or reason = 'opening'), -- above zero: into stock
  reason   text        not null check (reason in ('opening', 'receipt', 'sale', 'credit', 'write_off', 'correction')),
  order_id bigint,
  at       timestamptz not null,
  unique (order_id, sku, reason)
);
create index stock_movements_sku on stock_movements (sku);

-- Double entry: the amounts of one order sum to zero.
create table ledger_entries (
  id       bigint        generated always as identity primary key,
  order_id bigint        not null,
  account  text          not null check (account in ('receivable', 'revenue')),
  amount   numeric(16,4) not null check (amount <> 0),
  at       timestamptz   not null,
  unique (order_id, account)
);

-- Which order waits for which sku, and for how many. A row lives exactly as long as the wait, so that
-- raising on_hand finds the waiting orders by key; an index on orders.status would make every
-- status change write to it.
create table order_waits (
  sku      text collate "C" not null,
  order_id bigint      not null,
  needed   integer     not null check (needed > 0), -- units on hand from which the order can take its share
  since    timestamptz not null,
  primary key (sku, order_id)
);
create index order_waits_order on order_waits (order_id);
