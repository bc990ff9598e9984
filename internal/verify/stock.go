package verify

var stockChecks = []Check{
	{
		Name: "stock_conserved",
		What: "what is on hand of a product is the sum of its movements and never below zero; an untracked product has none",
		Of:   "product",
		SQL:  stockConservedSQL,
	},
	{
		Name: "stock_reasons",
		What: "a sale, credit or write-off belongs to an order; an opening, receipt or correction to none",
		Of:   "movement",
		SQL:  stockReasonsSQL,
	},
	{
		Name: "stock_of_orders",
		What: "only processed orders move stock, and what one moves of a product is the sum of its lines",
		Of:   "order",
		SQL:  stockOfOrdersSQL,
	},
}

const stockConservedSQL = `
select coalesce(p.sku, m.sku) as key,
       case
         when p.sku is null then format('is no product, but has %s movements', m.movements)
         when p.on_hand is null and m.movements > 0 then format('is not tracked, but has %s movements', m.movements)
         when p.on_hand < 0 then format('has %s on hand', p.on_hand)
         when p.on_hand <> coalesce(m.quantity, 0)
         then format('has %s on hand, but its movements sum to %s', p.on_hand, coalesce(m.quantity, 0))
       end as wrong
  from products p
  full join (select sku, sum(quantity) as quantity, count(*) as movements
               from stock_movements
              group by sku) m on m.sku = p.sku`

const stockReasonsSQL = `
select id as key,
       case
         when order_id is null and reason in ('sale', 'credit', 'write_off') then format('of sku %s is a %s of no order', sku, reason)
         when order_id is not null and reason not in ('sale', 'credit', 'write_off') then format('of sku %s is a %s, but names order %s', sku, reason, order_id)
       end as wrong
  from stock_movements`

// A product was tracked for an order or it was not: once the order has moved any of it, for one reason,
// what its lines ask for must all be there, for every reason. Of a product of which it has moved
// nothing, nobody can tell any more whether it was tracked then.
const stockOfOrdersSQL = `
select coalesce(o.id, moved.order_id) as key,
       case
         when o.id is null then 'does not exist, but has moved stock'
         when moved.order_id is not null and o.status <> 'processed' then format('is %s, but has moved stock', o.status)
         when o.kind = 'credit' and moved.for_sale then 'is a credit, but has moved stock as a sale'
         when o.kind <> 'credit' and moved.for_credit then format('is a %s, but has moved stock as a credit', o.kind)
         else moved.wrong
       end as wrong
  from orders o
  full join (select m.order_id,
                    bool_or(m.for_sale) as for_sale,
                    bool_or(m.for_credit) as for_credit,
                    min(case
                          when m.goods <> coalesce(asked.goods, 0)
                          then format('moved %s of sku %s, but its lines ask for %s', m.goods, m.sku, coalesce(asked.goods, 0))
                          when m.written_off <> coalesce(asked.written_off, 0)
                          then format('wrote off %s of sku %s, but its lines ask for %s', -m.written_off, m.sku, -coalesce(asked.written_off, 0))
                        end) as wrong
               from (select order_id, sku,
                            coalesce(sum(quantity) filter (where reason <> 'write_off'), 0) as goods,
                            coalesce(sum(quantity) filter (where reason = 'write_off'), 0) as written_off,
                            bool_or(reason = 'sale') as for_sale,
                            bool_or(reason = 'credit') as for_credit
                       from stock_movements
                      where order_id is not null
                        and reason in ('sale', 'credit', 'write_off')
                      group by order_id, sku) m
               left join (select order_id, sku,
                                 -coalesce(sum(quantity) filter (where line_kind <> 'write_off'), 0) as goods,
                                 -coalesce(sum(abs(quantity::bigint)) filter (where line_kind = 'write_off'), 0) as written_off
                            from order_lines
                           where line_kind <> 'adjustment'
                           group by order_id, sku) asked on asked.order_id = m.order_id and asked.sku = m.sku
              group by m.order_id) moved on moved.order_id = o.id`
