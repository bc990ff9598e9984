package verify

var ledgerChecks = []Check{
	{
		Name: "ledger_of_orders",
		What: "the receivable of a processed order is the sum of its item and adjustment lines and the revenue its other side; no other order has entries",
		Of:   "order",
		SQL:  ledgerOfOrdersSQL,
	},
	{
		Name: "ledger_balance",
		What: "the entries of an order sum to zero",
		Of:   "order",
		SQL:  ledgerBalanceSQL,
	},
	{
		Name: "ledger_total",
		What: "all entries of a currency sum to zero",
		Of:   "currency",
		SQL:  ledgerTotalSQL,
	},
}

// The number of entries tells two that cancel each other from none.
const ledgerOfOrdersSQL = `
select coalesce(o.id, e.order_id) as key,
       case
         when o.id is null then 'does not exist, but has ledger entries'
         when o.status <> 'processed' and e.order_id is not null then format('is %s, but has %s ledger entries', o.status, e.entries)
         when o.status <> 'processed' then null
         when coalesce(e.receivable, 0) <> coalesce(l.amount, 0)
           or coalesce(e.revenue, 0) <> -coalesce(l.amount, 0)
           or coalesce(e.entries, 0) <> case when coalesce(l.amount, 0) = 0 then 0 else 2 end
         then format('comes to %s, but has receivable %s and revenue %s in %s entries', trim_scale(coalesce(l.amount, 0)),
                     trim_scale(coalesce(e.receivable, 0)), trim_scale(coalesce(e.revenue, 0)), coalesce(e.entries, 0))
       end as wrong
  from orders o
  left join (select order_id, sum(quantity * unit_price) as amount
               from order_lines
              where line_kind in ('item', 'adjustment')
              group by order_id) l on l.order_id = o.id
  full join (select order_id,
                    count(*) as entries,
                    sum(amount) filter (where account = 'receivable') as receivable,
                    sum(amount) filter (where account = 'revenue') as revenue
               from ledger_entries
              group by order_id) e on e.order_id = o.id`

const ledgerBalanceSQL = `
select order_id as key,
       case when sum(amount) <> 0 then format('has entries that sum to %s', trim_scale(sum(amount))) end as wrong
  from ledger_entries
 group by order_id`

const ledgerTotalSQL = `
select o.currency as key,
       case when sum(e.amount) <> 0 then format('has entries that sum to %s', trim_scale(sum(e.amount))) end as wrong
  from ledger_entries e
  join orders o on o.id = e.order_id
 group by o.currency`
