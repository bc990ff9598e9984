package order

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Without a lock: an order that is final stays so, and a job that its worker finishes meanwhile is found
// finished by whoever asks to cancel it.
const openOrderOfSQL = `
select /* order.OpenOrderOf */ o.id
  from river_job j
  join orders o on o.id = case when j.args ->> 'order_id' ~ '^[0-9]{1,18}$' then (j.args ->> 'order_id')::bigint end
 where j.id = $1
   and j.kind = 'process_order'
   and j.state not in ('completed', 'cancelled', 'discarded')
   and o.status in ('placed', 'awaiting_stock')`

// OpenOrderOf answers the order that an unfinished process_order job is to bring to its end, 0 where there
// is none or the order is final. Cancelling such a job alone would leave the order as it is for ever:
// cancel the order, and its job goes with it.
func OpenOrderOf(ctx context.Context, db postgres.DB, job int64) (int64, error) {
	var id int64
	err := db.QueryRow(ctx, openOrderOfSQL, job).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("find the order of job %d: %w", job, err)
	}
	return id, nil
}
