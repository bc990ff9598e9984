package cleanup

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/postgres"
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

// What a hold names stays, and is no part of what would go. Each row is looked up by itself: the planner could
// make a join of a not exists, and read all old rows for it.
const expiredSQL = `
select /* cleanup.checkShare */ count(*)
  from (select from {table} t
         where {age} < $1::timestamptz
           and {where}
           and (select count(*) from holds hold where hold.target = '{table}' and hold.key = {key}) = 0
         order by {age}, {tie}
         limit $2) few`

// checkShare refuses a run that would delete more than the policy's share of the table: a wrong age or a
// wrong clock must not empty it. Besides held ones it reads no more of the old rows than the run may delete,
// and one.
func (r *run) checkShare(ctx context.Context, t target) error {
	total, err := total(ctx, r.Pool, t, countTo)
	if err != nil {
		return err
	}
	var expired int64
	allowed := r.allowed(total)
	if err := r.Pool.QueryRow(ctx, t.sql(expiredSQL), r.cutoff, allowed+1).Scan(&expired); err != nil {
		return fmt.Errorf("count the old rows of %s: %w", t.table, err)
	}
	if expired > allowed {
		return r.refuse(total, "rows of "+t.table)
	}
	return r.pass(ctx)
}

// total counts the rows of a table up to a number, and estimates them beyond.
func total(ctx context.Context, db postgres.DB, t target, countTo int) (total int64, err error) {
	if err := db.QueryRow(ctx, t.sql(totalSQL), countTo).Scan(&total); err != nil {
		return 0, fmt.Errorf("count the rows of %s: %w", t.table, err)
	}
	return total, nil
}

const passSQL = `
update /* cleanup.pass */ cleanup_runs
   set checked = true,
       cursor_key = ''
 where id = $1`

// pass writes down at once that the cap lets the run delete. Else a check that takes all the time there is
// would be made again by every call, and none would come to a batch.
func (r *run) pass(ctx context.Context) error {
	r.at = cursor{age: beginning}
	return r.Fence(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, passSQL, r.id); err != nil {
			return fmt.Errorf("record that run %d may delete: %w", r.id, err)
		}
		return nil
	})
}

// capped tells whether the safety cap has still to be asked.
func (r *run) capped() bool { return !r.checked }

// allowed is how many of so many the policy lets one run delete.
func (r *run) allowed(total int64) int64 {
	return max(shareFrom, r.policy.MaxShare.Mul(decimal.NewFromInt(total)).IntPart())
}

func (r *run) refuse(total int64, of string) error {
	return &refusedError{fmt.Sprintf(
		"policy %s would delete more than %d of %d %s, its share of at most %s%%; nothing was deleted: look at a dry run, then correct its age or raise its max_share",
		r.policy.Name, r.allowed(total), total, of, r.policy.MaxShare.Mul(decimal.NewFromInt(100)))}
}
