package verify

var orderChecks = []Check{
	{
		Name: "order_effects",
		What: "a processed order has each of its two effects once, any other order has none",
		Of:   "order",
		SQL:  orderEffectsSQL,
	},
	{
		Name: "order_history",
		What: "the transitions of an order lead from placed, by permitted steps, to its status",
		Of:   "order",
		SQL:  orderHistorySQL,
	},
	{
		Name: "order_progress",
		What: "an order that is not final has an unfinished job, or waits for stock that is still short",
		Of:   "open order",
		SQL:  orderProgressSQL,
	},
	{
		Name: "order_waits",
		What: "order_waits holds what each order that awaits stock needs, and nothing else",
		Of:   "waiting order",
		SQL:  orderWaitsSQL,
	},
}

// Counted rather than left to the key, so that it still sees what a database without the key would do.
const orderEffectsSQL = `
select coalesce(o.id, e.order_id) as key,
       case
         when o.id is null then 'does not exist, but has effects'
         when o.status = 'processed' and e.stock = 1 and e.ledger = 1 then null
         when o.status <> 'processed' and e.order_id is null then null
         else format('is %s, but has the effect stock %s times and ledger %s times', o.status, coalesce(e.stock, 0), coalesce(e.ledger, 0))
       end as wrong
  from orders o
  full join (select order_id,
                    count(*) filter (where effect = 'stock') as stock,
                    count(*) filter (where effect = 'ledger') as ledger
               from order_effects
              group by order_id) e on e.order_id = o.id`

// The pairs are those of the trigger orders_status_change. None of them leaves a final status, so a
// chain of them enters one at most once.
const orderHistorySQL = `
select coalesce(o.id, chain.order_id) as key,
       case
         when o.id is null then 'does not exist, but has transitions'
         when chain.wrong is not null then chain.wrong
         when o.status <> coalesce(chain.ended, 'placed')
         then format('is %s, but its transitions end at %s', o.status, coalesce(chain.ended, 'placed'))
       end as wrong
  from orders o
  full join (select order_id,
                    max(to_status) filter (where is_last) as ended,
                    min(case
                          when from_status <> stood_at
                          then format('has transition %s from %s to %s, but stood at %s', id, from_status, to_status, stood_at)
                          when (from_status, to_status) not in (
                               ('placed', 'awaiting_stock'), ('placed', 'processed'), ('placed', 'rejected'), ('placed', 'cancelled'),
                               ('awaiting_stock', 'processed'), ('awaiting_stock', 'rejected'), ('awaiting_stock', 'cancelled'))
                          then format('has transition %s from %s to %s, which is not permitted', id, from_status, to_status)
                        end) as wrong
               from (select id, order_id, from_status, to_status,
                            lag(to_status, 1, 'placed') over steps as stood_at,
                            lead(id) over steps is null as is_last
                       from order_transitions
                     window steps as (partition by order_id order by id)) step
              group by order_id) chain on chain.order_id = o.id`

// An order waits when it takes, with its write-offs, more of a tracked product than is on hand; and only
// if order_waits says so will whoever raises that product find it. An order that plain SQL inserted is
// enqueued by reconcile_orders within a minute once it has a line: after five it is stuck.
const orderProgressSQL = `
select o.id as key,
       case
         when live.order_id is not null or short.order_id is not null then null
         when o.status = 'placed' and not o.enqueued and o.created_at > now() - interval '5 minutes' then null
         when o.status = 'placed' and not o.enqueued and not exists (select from order_lines l where l.order_id = o.id)
         then format('was inserted at %s and has no lines, so nothing enqueues it', o.created_at)
         when o.status = 'placed' and not o.enqueued
         then format('was inserted at %s and never enqueued', o.created_at)
         else format('is %s and has no unfinished job%s; %s', o.status,
                     case when o.status = 'awaiting_stock' then ', but nothing that it waits for is short' else '' end,
                     coalesce((select format('its last job, %s, was %s', job.id, job.state)
                                 from (select j.id, j.state
                                         from river_job j
                                        where j.kind = 'process_order'
                                          and j.args ->> 'order_id' = o.id::text
                                       offset 0) job
                                order by job.id desc
                                limit 1), 'no job of it is known'))
       end as wrong
  from orders o
  left join (select distinct args ->> 'order_id' as order_id
               from river_job
              where kind = 'process_order'
                and state not in ('completed', 'cancelled', 'discarded')) live on live.order_id = o.id::text
  left join (select distinct taken.order_id
               from (select l.order_id, l.sku,
                            sum(case when l.line_kind = 'write_off' then abs(l.quantity::bigint) else l.quantity end) as quantity
                       from order_waits w
                       join order_lines l on l.order_id = w.order_id and l.sku = w.sku
                      where l.line_kind <> 'adjustment'
                      group by l.order_id, l.sku) taken
               join products p on p.sku = taken.sku and p.on_hand < taken.quantity) short
         on short.order_id = o.id and o.status = 'awaiting_stock'
 where o.status in ('placed', 'awaiting_stock')`

const orderWaitsSQL = `
select coalesce(o.id, wait.order_id) as key,
       case
         when wait.order_id is null then 'awaits stock, but order_waits has no row of it'
         when o.id is null then 'does not await stock, but order_waits has rows of it'
         else wait.wrong
       end as wrong
  from (select id
          from orders
         where status = 'awaiting_stock') o
  full join (select order_id,
                    min(case when needed <> quantity
                             then format('waits for %s of sku %s, but its lines take %s', needed, sku, quantity) end) as wrong
               from (select w.order_id, w.sku, w.needed,
                            coalesce(sum(case when l.line_kind = 'write_off' then abs(l.quantity::bigint) else l.quantity end), 0) as quantity
                       from order_waits w
                       left join order_lines l on l.order_id = w.order_id and l.sku = w.sku and l.line_kind <> 'adjustment'
                      group by w.order_id, w.sku, w.needed) taken
              group by order_id) wait on wait.order_id = o.id`
