package order

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// CountNewest bounds how many orders CountByStatus looks at.
const CountNewest = 10_000

const countByStatusSQL = `
select /* order.CountByStatus */ status, count(*)
  from (select status from orders order by id desc limit $1) newest
 group by status`

// CountByStatus counts the newest orders, CountNewest at most, by their status.
func CountByStatus(ctx context.Context, db postgres.DB) (map[Status]int, error) {
	rows, err := db.Query(ctx, countByStatusSQL, CountNewest)
	if err != nil {
		return nil, fmt.Errorf("count orders: %w", err)
	}
	counts := map[Status]int{}
	var status Status
	var n int
	_, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error {
		counts[status] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count orders: %w", err)
	}
	return counts, nil
}
