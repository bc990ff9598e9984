package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

// What generated orders look like. Popularity falls by a Zipf law whose head is cut so that the most
// popular product is in every tenth order, as in the file of a real shop; the plain law would
// put it into every second order and let contestants that lock one order at a time look worse.
const (
	catalogue     = 5_000 // products
	linesPerOrder = 4
	zipfExponent  = 1.1
	zipfOffset    = 8
	generateSeed  = 1
	generateBatch = 1_000 // orders placed in one transaction
)

// generator drafts sales of a made-up shop. The same seed drafts the same orders.
type generator struct {
	random     *rand.Rand
	popularity *rand.Zipf
	count      int
}

func newGenerator(seed uint64) *generator {
	random := rand.New(rand.NewPCG(seed, catalogue))
	return &generator{random: random, popularity: rand.NewZipf(random, zipfExponent, zipfOffset, catalogue-1)}
}

var (
	generatedFrom      = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	generatedCountries = []string{"United Kingdom", "United Kingdom", "United Kingdom", "Germany", "France", "EIRE"}
)

// draft makes the next order: different products of different popularity, one line each.
func (g *generator) draft() order.Draft {
	g.count++
	d := order.Draft{
		Number:   fmt.Sprintf("B-%08d", g.count),
		Kind:     order.KindSale,
		Customer: fmt.Sprintf("C-%05d", g.random.IntN(catalogue)),
		Country:  generatedCountries[g.random.IntN(len(generatedCountries))],
		PlacedAt: generatedFrom.Add(time.Duration(g.count) * time.Second),
		Lines:    make([]order.Line, 0, linesPerOrder),
	}
	chosen := map[uint64]bool{}
	for len(d.Lines) < linesPerOrder {
		product := g.popularity.Uint64()
		if chosen[product] {
			continue
		}
		chosen[product] = true
		d.Lines = append(d.Lines, order.Line{
			SKU: fmt.Sprintf("P-%05d", product), Description: fmt.Sprintf("Product %d", product),
			Quantity: 1 + g.random.IntN(12), UnitPrice: decimal.New(int64(50+product*37%1950), -2),
		})
	}
	return d
}

const insertCatalogueSQL = `
insert /* bench.fillCatalogue */ into products (sku, description)
select format('P-%s', lpad(n::text, 5, '0')), format('Product %s', n)
  from generate_series(0, $1 - 1) as n`

// fillCatalogue stores the products that generated orders sell; their stock is not tracked.
func fillCatalogue(ctx context.Context, db *Database) error {
	if _, err := db.Pool.Exec(ctx, insertCatalogueSQL, catalogue); err != nil {
		return fmt.Errorf("insert the catalogue: %w", err)
	}
	return nil
}

// fillOrders stores the catalogue and count generated orders with their jobs, by order.Place.
func fillOrders(ctx context.Context, db *Database, count int) error {
	if err := fillCatalogue(ctx, db); err != nil {
		return err
	}
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	generated := newGenerator(generateSeed)
	for placed := 0; placed < count; {
		drafts := make([]order.Draft, min(generateBatch, count-placed))
		for i := range drafts {
			drafts[i] = generated.draft()
		}
		err := postgres.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
			_, err := order.Place(ctx, tx, inserter, drafts...)
			return err
		})
		if err != nil {
			return fmt.Errorf("generate orders: %w", err)
		}
		placed += len(drafts)
	}
	return nil
}

// Enough for every line that takes any, whatever the others give back: nothing waits or is rejected.
const trackAllSQL = `
with /* bench.trackAll */ asked as (
  select sku, sum(abs(quantity::bigint)) as quantity
    from order_lines
   group by sku
), opened as (
  insert into stock_movements (sku, quantity, reason, at)
  select p.sku, coalesce(asked.quantity, 0), 'opening', now()
    from products p
    left join asked using (sku)
  returning sku, quantity
)
update products p
   set on_hand = opened.quantity
  from opened
 where p.sku = opened.sku`

// trackAll begins to track the stock of every product, with as much on hand as all orders could take.
func trackAll(ctx context.Context, db *Database) error {
	if _, err := db.Pool.Exec(ctx, trackAllSQL); err != nil {
		return fmt.Errorf("track all products: %w", err)
	}
	return nil
}
