-- Who buys, what is sold, and the orders themselves.

create table customers (
  id         bigint      generated always as identity primary key,
  number     text        unique check (octet_length(number) between 1 and 200), -- the shop's own number; null for a guest
  name       text,
  email      text,
  created_at timestamptz not null default now()
);

create table products (
  sku         text collate "C" primary key check (octet_length(sku) between 1 and 200), -- what an index can hold; compared byte for byte: 85123A is not 85123a
  description text    not null default '',
  on_hand     integer constraint products_never_oversold check (on_hand >= 0) -- null: stock is not tracked
);

create table orders (
  id          bigint      generated always as identity primary key,
  number      text        not null unique default gen_random_uuid()::text check (octet_length(number) between 1 and 200),
  kind        text        not null default 'sale'   check (kind in ('sale', 'credit', 'adjustment')),
  status      text        not null default 'placed' check (status in ('placed', 'awaiting_stock', 'processed', 'rejected', 'cancelled')),
  customer_id bigint      references customers,
  country     text,                            -- of this order: a customer may have several
  currency    text        not null default 'GBP' check (currency ~ '^[A-Z]{3}$'),
  placed_at   timestamptz not null default now()
              check (placed_at >= '0001-01-01 00:00Z' and placed_at < '10000-01-01 00:00Z'), -- no infinity: what programs can read
  created_at  timestamptz not null default now()
              check (created_at >= '0001-01-01 00:00Z' and created_at < '10000-01-01 00:00Z'), -- when the row came in; an imported order was placed long before
  enqueued    boolean     not null default false, -- true once its process_order job was inserted, in the same transaction
  reason      text                                -- why it was rejected or cancelled
);

-- Finds what plain SQL inserted. The predicate leaves status out: with it, every change of
-- status would touch the index and no update of an order could stay on its page (HOT).
create index orders_not_enqueued on orders (id) where not enqueued;

create table order_lines (
  order_id    bigint        not null references orders,
  line_no     integer       not null check (line_no > 0),
  line_kind   text          not null default 'item' check (line_kind in ('item', 'gift', 'write_off', 'adjustment')),
  sku         text collate "C" not null check (octet_length(sku) between 1 and 200), -- no foreign key: a sku without a product is an untracked one
  description text,
  quantity    integer       not null, -- below zero in credits and write-offs
  unit_price  numeric(14,4) not null,
  primary key (order_id, line_no),
  constraint order_lines_amount_in_range check (abs(quantity * unit_price) < 1e11) -- so that no sum overflows the ledger unseen
);

-- An order begins as placed and changes status only as this table of pairs allows. The pairs stand
-- in the trigger's condition, so a permitted change never calls the function.
create function refuse_status_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    raise exception 'order % cannot begin as %: an order begins as placed', new.number, new.status
      using errcode = 'check_violation', constraint = 'orders_status_change';
  end if;
  raise exception 'order % cannot change from % to %', new.number, old.status, new.status
    using errcode = 'check_violation', constraint = 'orders_status_change';
end $$;

create trigger orders_begin_placed before insert on orders
  for each row when (new.status <> 'placed') execute function refuse_status_change();

create trigger orders_status_change before update of status on orders
  for each row when (old.status <> new.status and (old.status, new.status) not in (
    ('placed', 'awaiting_stock'), ('placed', 'processed'), ('placed', 'rejected'), ('placed', 'cancelled'),
    ('awaiting_stock', 'processed'), ('awaiting_stock', 'rejected'), ('awaiting_stock', 'cancelled')))
  execute function refuse_status_change();

-- What was ordered never changes once placed, so reports may join it at any later time.
create function refuse_order_change() returns trigger language plpgsql as $$
begin
  raise exception 'order %: number, kind, customer, country, currency and placed_at never change once placed', old.number
    using errcode = 'check_violation', constraint = 'orders_immutable';
end $$;

create trigger orders_immutable
  before update of id, number, kind, customer_id, country, currency, placed_at on orders
  for each row when ((old.id, old.number, old.kind, old.customer_id, old.country, old.currency, old.placed_at)
    is distinct from (new.id, new.number, new.kind, new.customer_id, new.country, new.currency, new.placed_at))
  execute function refuse_order_change();

create function refuse_line_change() returns trigger language plpgsql as $$
begin
  raise exception 'order %: line % cannot be changed or deleted once placed', old.order_id, old.line_no
    using errcode = 'check_violation', constraint = 'order_lines_immutable';
end $$;

create trigger order_lines_immutable before update or delete on order_lines
  for each row execute function refuse_line_change();

-- A line may join an order only while it is placed. Asked once per statement, so that a COPY of a
-- hundred thousand lines pays once. The foreign key holds the order against a process_order that
-- runs meanwhile: one of the two waits for the other and then sees it.
create function refuse_late_line() returns trigger language plpgsql as $$
declare
  late record;
begin
  select o.number, o.status into late
    from orders o
   where o.id in (select order_id from added)
     and o.status <> 'placed'
   limit 1;
  if found then
    raise exception 'order % is % and takes no more lines', late.number, late.status
      using errcode = 'check_violation', constraint = 'order_lines_closed';
  end if;
  return null;
end $$;

create trigger order_lines_closed after insert on order_lines
  referencing new table as added
  for each statement execute function refuse_late_line();
