package order_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

// Orders that wait for one or two products, receipts of single products, corrections and credits, all
// at once, with workers at their jobs. In the end the tables justify every order that still waits, and
// once enough was received none does.
func TestNoWakeIsLost(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	random := rand.New(rand.NewPCG(5, 2010))
	skus := []string{"A", "B", "C"}
	for _, sku := range skus {
		s.track(sku, 0)
	}
	for round := range 6 {
		var drafts []order.Draft
		for range 40 {
			first := random.IntN(len(skus))
			lines := []order.Line{item(skus[first], 1+random.IntN(3), "1")}
			if random.IntN(2) == 0 {
				lines = append(lines, item(skus[(first+1)%len(skus)], 1+random.IntN(3), "1"))
			}
			drafts = append(drafts, sale(lines...))
		}
		s.place(drafts...)
		s.drain()
		ended := make(chan struct{})
		suppliers, supplying := errgroup.WithContext(t.Context())
		for i := range 3 {
			random := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			suppliers.Go(func() error { return s.supply(supplying, skus, random) })
		}
		workers, working := errgroup.WithContext(t.Context())
		for i := range 3 {
			random := rand.New(rand.NewPCG(uint64(round), uint64(10+i)))
			workers.Go(func() error { return s.workUntil(working, ended, random) })
		}
		err := suppliers.Wait()
		close(ended)
		if err != nil {
			t.Fatal(err)
		}
		if err := workers.Wait(); err != nil {
			t.Fatal(err)
		}
		if live := s.liveJobs(); live != "" {
			t.Fatalf("jobs are left for orders %s", live)
		}
		s.wantSound()
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, sku := range skus {
		s.receive(sku, 1000)
	}
	s.drain()
	s.wantSound()
	if n := one[int](s, `select count(*) from orders where status <> 'processed'`); n != 0 {
		t.Errorf("%d orders are not processed though enough was received", n)
	}
}

// drain works every job there is.
func (s *shop) drain() {
	s.t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = s.work(s.t.Context(), 10); err != nil {
			s.t.Fatal(err)
		}
	}
}

// supply raises stock in every way there is, a unit or two at a time.
func (s *shop) supply(ctx context.Context, skus []string, random *rand.Rand) error {
	for range 12 {
		sku := skus[random.IntN(len(skus))]
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			switch random.IntN(4) {
			case 0:
				_, err := order.Place(ctx, tx, s.jobs, credit(item(sku, -1, "1"), item(skus[random.IntN(len(skus))], -1, "1")))
				return err
			case 1:
				product, err := order.GetProduct(ctx, tx, sku)
				if err != nil {
					return err
				}
				_, _, err = order.Correct(ctx, tx, s.jobs, sku, *product.OnHand+1, pgtest.Noon)
				return err
			default:
				_, _, err := order.Receive(ctx, tx, s.jobs, sku, 1+random.IntN(3), pgtest.Noon)
				return err
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Two who raise different products of the same waiting orders, while workers take the jobs that the
// first has enqueued: the second must not touch those jobs.
func TestRaisingTwoProductsOfTheSameOrdersAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 0)
	s.track("B", 0)
	for round := range 10 {
		var drafts []order.Draft
		for range 40 {
			drafts = append(drafts, sale(item("A", 1, "1"), item("B", 1, "1")))
		}
		s.place(drafts...)
		s.drain()
		ended := make(chan struct{})
		raise := func(sku string) func(context.Context) error {
			return func(ctx context.Context) error {
				return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
					_, _, err := order.Receive(ctx, tx, s.jobs, sku, 40, pgtest.Noon)
					return err
				})
			}
		}
		s.together(
			func(ctx context.Context) error {
				defer close(ended)
				raising, ctx := errgroup.WithContext(ctx)
				raising.Go(func() error { return raise("A")(ctx) })
				raising.Go(func() error { return raise("B")(ctx) })
				return raising.Wait()
			},
			func(ctx context.Context) error {
				return s.workUntil(ctx, ended, rand.New(rand.NewPCG(uint64(round), 1)))
			},
			func(ctx context.Context) error {
				return s.workUntil(ctx, ended, rand.New(rand.NewPCG(uint64(round), 2)))
			},
		)
	}
	s.wantSound()
	if n := one[int](s, `select count(*) from orders where status <> 'processed'`); n != 0 {
		t.Errorf("%d orders are not processed though both products were received", n)
	}
}
