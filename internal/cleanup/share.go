package cleanup

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"
)

const (
	// shareFrom is how many rows a run may delete whatever their share: of three, one is a third.
	shareFrom = 100
	// countTo is up to how many rows a table is counted; beyond, the planner's estimate will do.
	countTo = 1_000_000
)

// The estimate is that of the last analyze, for as many pages as the table has now.
const totalSQL = `
select /* cleanup.checkShare */ case when counted.n <= $1 then counted.n
            else greatest(counted.n, (select (reltuples * pg_relation_size(oid) / current_setting('block_size')::int / greatest(relpages, 1))::bigint
                                        from pg_class
                                       where oid = '{table}'::regclass)) end
  from (select count(*) as n from (select from {table} limit $1 + 1) few) counted`

const expiredSQL = `
select /* cleanup.checkShare */ count(*)
  from (select from {table} t
         where {age} < $1::timestamptz
           and {where}
         order by {age}, {tie}
         limit $2) few`

// checkShare refuses a run that would delete more than the policy's share of the table: a wrong age or a
// wrong clock must not empty it. A dry run is not refused: it is what one looks at then. It reads no more of
// the old rows than the run may delete, and one.
func (r *run) checkShare(ctx context.Context, t target) error {
	if r.dry || r.policy.MaxShare.Equal(decimal.NewFromInt(1)) {
		return nil
	}
	var total, expired int64
	if err := r.Pool.QueryRow(ctx, t.sql(totalSQL), countTo).Scan(&total); err != nil {
		return fmt.Errorf("count the rows of %s: %w", t.table, err)
	}
	allowed := r.allowed(total)
	if err := r.Pool.QueryRow(ctx, t.sql(expiredSQL), r.cutoff, allowed+1).Scan(&expired); err != nil {
		return fmt.Errorf("count the old rows of %s: %w", t.table, err)
	}
	if expired > allowed {
		return r.refuse(total, "rows of "+t.table)
	}
	return nil
}

// allowed is how many of so many the policy lets one run delete.
func (r *run) allowed(total int64) int64 {
	return max(shareFrom, r.policy.MaxShare.Mul(decimal.NewFromInt(total)).IntPart())
}

func (r *run) refuse(total int64, of string) error {
	return &refusedError{fmt.Sprintf(
		"policy %s would delete more than %d of %d %s, its share of at most %s%%; nothing was deleted: look at a dry run, then correct its age or raise its max_share",
		r.policy.Name, r.allowed(total), total, of, r.policy.MaxShare.Mul(decimal.NewFromInt(100)))}
}
