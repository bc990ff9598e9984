package report_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// market is a database of its own in which orders are placed and processed.
type market struct {
	t    testing.TB
	pool *pgxpool.Pool
	jobs jobs.Enqueuer
}

func newMarket(t testing.TB) market {
	t.Helper()
	pool := pgtest.Pool(t)
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatalf("NewInserter: %v", err)
	}
	return market{t: t, pool: pool, jobs: inserter}
}

func (m market) inTx(work func(pgx.Tx) error) {
	m.t.Helper()
	if err := pgx.BeginFunc(m.t.Context(), m.pool, work); err != nil {
		m.t.Fatal(err)
	}
}

func (m market) place(drafts ...order.Draft) (ids []int64) {
	m.t.Helper()
	m.inTx(func(tx pgx.Tx) error {
		orders, err := order.Place(m.t.Context(), tx, m.jobs, drafts...)
		for _, o := range orders {
			ids = append(ids, o.ID)
		}
		return err
	})
	return ids
}

// process settles orders at an instant, and fails the test unless all have become what is wanted.
func (m market) process(at time.Time, want order.Status, ids ...int64) {
	m.t.Helper()
	m.inTx(func(tx pgx.Tx) error {
		answers, err := order.Process(m.t.Context(), tx, m.jobs, ids, at)
		for _, answer := range answers {
			if answer.Status != want {
				m.t.Fatalf("order %d is %s, %s; want %s", answer.OrderID, answer.Status, answer.Reason, want)
			}
		}
		return err
	})
}

func (m market) exec(sql string, args ...any) {
	m.t.Helper()
	if _, err := m.pool.Exec(m.t.Context(), sql, args...); err != nil {
		m.t.Fatalf("%s: %v", sql, err)
	}
}

func (m market) number(sql string, args ...any) (n int64) {
	m.t.Helper()
	if err := m.pool.QueryRow(m.t.Context(), sql, args...).Scan(&n); err != nil {
		m.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (m market) transitions() int64 {
	m.t.Helper()
	return m.number(`select coalesce(max(id), 0) from order_transitions`)
}

func item(sku string, quantity int, price string) order.Line {
	return order.Line{Kind: order.LineItem, SKU: sku, Quantity: quantity, UnitPrice: decimal.RequireFromString(price)}
}

// strayDrafts are orders of every kind, in two currencies, placed around the days on which the clocks of
// London change.
func strayDrafts(rng *rand.Rand, n int) []order.Draft {
	countries := []string{"", "United Kingdom", "United Kingdom", "EIRE", "France", "Österreich"}
	currencies := []string{"GBP", "GBP", "GBP", "EUR"}
	edges := []time.Time{
		time.Date(2011, 3, 27, 0, 0, 0, 0, time.UTC), time.Date(2011, 3, 27, 23, 0, 0, 0, time.UTC),
		time.Date(2011, 3, 31, 23, 0, 0, 0, time.UTC), time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2011, 3, 20, 0, 0, 0, 0, time.UTC), time.Date(2011, 4, 9, 23, 0, 0, 0, time.UTC),
	}
	drafts := make([]order.Draft, n)
	for i := range drafts {
		d := order.Draft{Number: fmt.Sprint("S", i), Kind: order.KindSale, Country: countries[rng.IntN(len(countries))], Currency: currencies[rng.IntN(len(currencies))]}
		d.PlacedAt = time.Date(2011, 3, 18, 0, 0, 0, 0, time.UTC).Add(time.Duration(rng.Int64N(int64(26 * 24 * time.Hour)))).Truncate(time.Microsecond)
		if i%4 == 0 {
			d.PlacedAt = edges[rng.IntN(len(edges))].Add(time.Duration(rng.IntN(3)-1) * time.Microsecond)
		}
		if c := rng.IntN(25); c > 0 {
			d.Customer = fmt.Sprint("C", c)
		}
		switch rng.IntN(6) {
		case 0:
			d.Kind = order.KindCredit
		case 1:
			d.Kind = order.KindAdjustment
		}
		for range 1 + rng.IntN(4) {
			d.Lines = append(d.Lines, strayLine(rng, d.Kind))
		}
		drafts[i] = d
	}
	return drafts
}

func strayLine(rng *rand.Rand, kind order.Kind) order.Line {
	l := item(fmt.Sprint("SKU", rng.IntN(12)), 1+rng.IntN(20), decimal.New(rng.Int64N(500_000), -4).String())
	switch {
	case kind == order.KindCredit:
		l.Quantity = -l.Quantity
	case kind == order.KindAdjustment && rng.IntN(2) == 0:
		l.Kind, l.Quantity, l.UnitPrice = order.LineWriteOff, -l.Quantity, decimal.Zero
	case kind == order.KindAdjustment:
		l.Kind, l.UnitPrice = order.LineAdjustment, l.UnitPrice.Neg()
	case rng.IntN(5) == 0:
		l.Kind, l.UnitPrice = order.LineGift, decimal.Zero
	case rng.IntN(8) == 0:
		l.Quantity = -l.Quantity // some of it taken back at once
	}
	return l
}

// strayOrders places drafts and processes most of them, some after a wait for stock. It answers the processed
// ones up to the watermark: of the others, some only wait, and some are processed later.
func (m market) strayOrders(drafts []order.Draft) (processed []order.Draft, watermark int64) {
	m.t.Helper()
	ids := m.place(drafts...)
	var early, late, waiting []int64
	for i, id := range ids {
		if i%3 == 0 {
			waiting = append(waiting, id)
		}
		switch {
		case i%7 == 3:
		case i%7 == 5:
			late = append(late, id)
		default:
			early = append(early, id)
			processed = append(processed, drafts[i])
		}
	}
	m.exec(`insert into order_transitions (order_id, from_status, to_status, at) select id, 'placed', 'awaiting_stock', now() from unnest($1::bigint[]) as id`, waiting)
	m.process(pgtest.Noon, order.StatusProcessed, early...)
	watermark = m.transitions()
	m.process(pgtest.Noon, order.StatusProcessed, late...)
	return processed, watermark
}
