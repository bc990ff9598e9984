package order

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// What a customer owes rises by the total and revenue is its other side, so an order sums to zero.
const writeEntriesSQL = `
insert /* order.Process */ into ledger_entries (order_id, account, amount, at)
select p.order_id, e.account, e.sign * p.amount::numeric, $3
  from unnest($1::bigint[], $2::text[]) with ordinality as p(order_id, amount, n)
 cross join (values (1, 'receivable'), (-1, 'revenue')) as e(sign, account)
 order by p.n, e.sign desc`

// queueEntries posts the totals of the orders that were processed. A total of zero posts nothing.
func queueEntries(batch *pgx.Batch, open []*candidate, now time.Time) {
	var ids []int64
	var amounts []string
	for _, c := range open {
		if c.status == StatusProcessed && !c.amount.IsZero() {
			ids, amounts = append(ids, c.id), append(amounts, c.amount.String())
		}
	}
	if len(ids) > 0 {
		batch.Queue(writeEntriesSQL, ids, amounts, now)
	}
}
