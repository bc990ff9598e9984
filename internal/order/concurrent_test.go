package order_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

// No transaction here is retried: a deadlock is an error.
func TestConcurrentOrdersNeitherDeadlockNorOversell(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	random := rand.New(rand.NewPCG(4, 2010))
	const products = 12
	for round := range 30 {
		skus := make([]order.Line, products)
		for i := range skus {
			sku := fmt.Sprintf("%d-%d", round, i)
			s.track(sku, 2)
			skus[i] = item(sku, 1, "1")
		}
		opposite := slices.Clone(skus)
		slices.Reverse(opposite)
		var drafts []order.Draft
		for i := range 8 { // four of each line order, for stock that suffices for two
			drafts = append(drafts, sale([][]order.Line{skus, opposite}[i%2]...))
		}
		ids := s.place(drafts...)
		random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		s.together(
			func(ctx context.Context) error { return s.processAlone(ctx, ids[0], ids[1]) },
			func(ctx context.Context) error { return s.processAlone(ctx, ids[2]) },
			func(ctx context.Context) error { return s.processAlone(ctx, ids[4], ids[3]) },
			func(ctx context.Context) error { return s.processAlone(ctx, ids[7], ids[5], ids[6]) },
		)
	}
	s.wantSound()
	if n := one[int](s, `select count(*) from orders where status = 'processed'`); n != 60 {
		t.Errorf("%d orders were processed, stock sufficed for 60", n)
	}
	if n := one[int](s, `select sum(on_hand)::int from products`); n != 0 {
		t.Errorf("%d units are left over", n)
	}
}

func TestOneOrderProcessedByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 100)
	for range 10 {
		id := s.place(sale(item("A", 1, "1"), item("U", 1, "1")))[0]
		process := func(ctx context.Context) error { return s.processAlone(ctx, id) }
		s.together(process, process, process)
	}
	if n := one[int](s, `select on_hand from products`); n != 90 {
		t.Errorf("on hand = %d, want 90", n)
	}
	s.wantSound()
}

// A line that is being added is part of the order: processing leaves the order for later, and settles
// the others at once.
func TestProcessLeavesAnOrderWhoseLineIsBeingAdded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 10)
	ids := s.place(sale(item("A", 1, "1")), sale(item("A", 2, "1")))
	writing := s.begin()
	s.execIn(writing, `insert into order_lines (order_id, line_no, sku, quantity, unit_price) values ($1, 2, 'A', 4, 1)`, ids[0])
	answers := s.process(ids...)
	if !errors.Is(answers[0].Err, order.ErrBusy) || answers[1].Status != order.StatusProcessed {
		t.Errorf("answers = %+v, want the first to be busy and the second to be processed", answers)
	}
	s.commit(writing)
	s.process(ids...)
	if n := one[int](s, `select on_hand from products`); n != 3 {
		t.Errorf("on hand = %d, want 3: all lines of both", n)
	}
	s.wantSound()
}

// ProcessQuick reads stock without a lock. Whoever takes it meanwhile is not overtaken, and what suffices
// for all orders is not waited for before the last moment.
func TestProcessQuickCountsOnWhatIsThereInTheEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		taken  int // by others, between the read and the lock
		drafts []order.Draft
		moved  bool
		onHand int // afterwards
	}{
		{"enough is left", 5, []order.Draft{sale(item("A", 5, "1"))}, false, 0},
		{"too little is left", 6, []order.Draft{sale(item("A", 5, "1"))}, true, 4},
		{"too little is left for both", 4, []order.Draft{sale(item("A", 5, "1")), sale(item("A", 2, "1"))}, true, 6},
		{"what a credit gives back is not counted on", 8, []order.Draft{sale(item("A", 3, "1")), credit(item("A", -3, "1"))}, true, 2},
		{"a credit alone counts on nothing", 10, []order.Draft{credit(item("A", -3, "1"))}, false, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.track("A", 10)
			ids := s.place(tc.drafts...)
			other := s.begin()
			s.execIn(other, `update products set on_hand = on_hand - $1 where sku = 'A'`, tc.taken)
			s.execIn(other, `insert into stock_movements (sku, quantity, reason, at) values ('A', -$1::int, 'correction', now())`, tc.taken)
			moved := false
			processed := s.start(func(ctx context.Context) error {
				err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
					_, err := order.ProcessQuick(ctx, tx, s.jobs, ids, pgtest.Noon, nil)
					return err
				})
				if moved = errors.Is(err, order.ErrMoved); moved {
					return nil
				}
				return err
			})
			s.waitBlocked(1)
			s.commit(other)
			processed()
			if moved != tc.moved {
				t.Errorf("moved: %t, want %t", moved, tc.moved)
			}
			if n := one[int](s, `select on_hand from products`); n != tc.onHand {
				t.Errorf("on hand = %d, want %d", n, tc.onHand)
			}
			s.wantSound()
		})
	}
}

// Somebody who holds a popular product for long holds up the orders that want it, and no others.
func TestProcessFreeSettlesWhatOthersDoNotHold(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 10)
	s.track("B", 10)
	ids := s.place(sale(item("A", 1, "1")), sale(item("B", 1, "1"), item("A", 1, "1")), sale(item("B", 1, "1"), item("U", 1, "1")),
		order.Draft{Kind: order.KindAdjustment, Lines: []order.Line{item("A", 1, "-5")}})
	holding := s.begin()
	s.execIn(holding, `select from products where sku = 'A' for update`)
	err := s.processAlone(t.Context(), ids...)
	if !errors.Is(err, order.ErrBusy) {
		t.Errorf("Process: %v, want ErrBusy", err)
	}
	var answers []order.Answer
	s.inTx(func(tx pgx.Tx) (err error) {
		answers, err = order.ProcessFree(t.Context(), tx, s.jobs, ids, pgtest.Noon)
		return err
	})
	for i, busy := range []bool{true, true, false, false} {
		if errors.Is(answers[i].Err, order.ErrBusy) != busy || (answers[i].Status == order.StatusProcessed) == busy {
			t.Errorf("answer %d = %+v, want busy: %t", i, answers[i], busy)
		}
	}
	s.wantSound()
	s.commit(holding)
	if got := statuses(s.process(ids...)); got != "processed processed processed processed" {
		t.Errorf("once A is free: %s", got)
	}
	s.wantSound()
}

// together runs steps at once and fails the test when one fails.
func (s *shop) together(steps ...func(context.Context) error) {
	s.t.Helper()
	group, ctx := errgroup.WithContext(s.t.Context())
	for _, step := range steps {
		group.Go(func() error { return step(ctx) })
	}
	if err := group.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

// processAlone processes orders in a transaction of their own, again and again while others hold one of them.
func (s *shop) processAlone(ctx context.Context, ids ...int64) error {
	for {
		var answers []order.Answer
		err := s.settle(ctx, func(tx pgx.Tx, process process) (err error) {
			answers, err = process(ctx, tx, s.jobs, ids, pgtest.Noon)
			return err
		})
		if err != nil || !slices.ContainsFunc(answers, func(a order.Answer) bool { return a.Err != nil }) {
			return err
		}
	}
}
