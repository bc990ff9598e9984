package report

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// chunkMoves is how many movements one query adds up.
const chunkMoves = 50_000

const movesChunkSQL = `
select /* report.stock */ max(id)
  from (select id
          from stock_movements
         where id > $1
           and id <= $2
         order by id
         limit $3) as chunk`

const sumMovesSQL = `
select /* report.stock */ sku, reason,
       coalesce(sum(quantity) filter (where at >= $3 and at < $4), 0),
       coalesce(sum(quantity) filter (where at >= $4), 0),
       max(at)
  from stock_movements
 where id > $1
   and id <= $2
 group by sku, reason`

// readMoves adds up all movements, by sku and in the order in which they were noted: no index leads to those
// of a period, and one product may have most of them.
func readMoves(ctx context.Context, src *Source, p *StockParams) (map[string]*moves, error) {
	since, until := p.instants()
	sums := map[string]*moves{}
	for after := int64(math.MinInt64); ; {
		through, err := readRow(ctx, src.DB, pgx.RowTo[*int64], movesChunkSQL, after, src.Watermark, chunkMoves)
		if err != nil || through == nil {
			return sums, err
		}
		found, err := readRows(ctx, src.DB, pgx.RowToStructByPos[moved], sumMovesSQL, after, *through, since, until)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if sums[m.SKU] == nil {
				sums[m.SKU] = &moves{}
			}
			sums[m.SKU].add(m)
		}
		after = *through
		src.Progress(min(1, float64(max(0, after))/float64(max(1, src.Watermark)))/2, 0)
	}
}

// chunkProducts is how many products one query reads.
const chunkProducts = 1000

// What moved above the watermark is taken off again: a movement and its on_hand commit together, and both are
// read by one statement.
const trackedSQL = `
with /* report.stock */ tracked as materialized (
  select sku, description, on_hand
    from products
   where on_hand is not null
     and sku > $1
   order by sku
   limit $2
),
later as materialized (
  select sku, sum(quantity) as units
    from stock_movements
   where id > $3
   group by sku
)
select t.sku, t.description, t.on_hand - coalesce(l.units, 0), w.orders, w.units
  from tracked t
  left join later l on l.sku = t.sku
 cross join lateral (select count(*) as orders, coalesce(sum(needed), 0)::bigint as units
                       from order_waits
                      where sku = t.sku) as w
 order by t.sku`

// tracked is a product whose stock is kept.
type tracked struct {
	SKU, Description       string
	OnHand, Waiting, Needs int64
}

func readTracked(ctx context.Context, db *pgxpool.Pool, after string, watermark int64) ([]tracked, error) {
	return readRows(ctx, db, pgx.RowToStructByPos[tracked], trackedSQL, after, chunkProducts, watermark)
}

const countTrackedSQL = `
select /* report.stock */ count(*)
  from products
 where on_hand is not null`

func countTracked(ctx context.Context, db *pgxpool.Pool) (int64, error) {
	return readRow(ctx, db, pgx.RowTo[int64], countTrackedSQL)
}
