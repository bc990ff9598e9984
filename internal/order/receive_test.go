package order_test

import (
	"math"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

// waiting places sales of A, asked for in the quantities given, that find none on hand.
func (s *shop) waiting(quantities ...int) []int64 {
	s.t.Helper()
	s.track("A", 0)
	var drafts []order.Draft
	for i, quantity := range quantities {
		d := sale(item("A", quantity, "1"))
		d.PlacedAt = pgtest.Noon.AddDate(0, 0, i)
		drafts = append(drafts, d)
	}
	ids := s.place(drafts...)
	s.process(ids...)
	s.finishJobs()
	return ids
}

func TestReceiveWakesOldestFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 0)
	s.track("B", 0)
	newer, older, both, big := sale(item("A", 2, "1")), sale(item("A", 1, "1")), sale(item("A", 1, "1"), item("B", 1, "1")), sale(item("A", 4, "1"))
	newer.PlacedAt, older.PlacedAt, both.PlacedAt, big.PlacedAt = pgtest.Noon.Add(3e9), pgtest.Noon.Add(1e9), pgtest.Noon.Add(2e9), pgtest.Noon
	ids := s.place(newer, older, both, big)
	s.process(ids...)
	s.finishJobs()
	product, woken := s.receive("A", 3)
	if product.OnHand == nil || *product.OnHand != 3 || product.Waiting != 4 || product.SKU != "A" {
		t.Errorf("product = %+v", product)
	}
	if got := s.liveJobs(); woken != 3 || got != "2 3 1" {
		t.Errorf("woken %d, jobs for %q; want 3, oldest first: 2 3 1, not 4, which needs 4", woken, got)
	}
	if got := rows(s, `select string_agg(concat_ws(' ', sku, quantity, reason), ', ') from stock_movements where reason <> 'opening'`); got != "A 3 receipt" {
		t.Errorf("movements = %s", got)
	}
	if _, woken := s.receive("A", 0+1); woken != 1 {
		t.Errorf("woken %d, want the big one alone: the others have live jobs", woken)
	}
	s.wantSound()
}

func TestWhatWakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		do   func(s *shop, ids []int64)
		want string
	}{
		{"a receipt", func(s *shop, _ []int64) { s.receive("A", 2) }, "1 2"},
		{"a receipt of too little", func(s *shop, _ []int64) { s.receive("A", 1) }, "1"},
		{"a receipt of something else", func(s *shop, _ []int64) { s.track("B", 0); s.receive("B", 5) }, ""},
		{"a credit", func(s *shop, _ []int64) {
			id := s.place(credit(item("A", -2, "1")))
			s.finishJobs()
			s.process(id...)
		}, "1 2"},
		{"a sale that gives back more than it takes", func(s *shop, _ []int64) {
			id := s.place(sale(item("A", -2, "1"), item("A", 1, "1")))
			s.finishJobs()
			s.process(id...)
		}, "1"},
		{"a correction upwards", func(s *shop, _ []int64) { s.correct("A", 2) }, "1 2"},
		{"not a correction downwards", func(s *shop, _ []int64) {
			s.receive("A", 2)
			s.finishJobs()
			s.correct("A", 1)
		}, ""},
		{"not an order that is cancelled meanwhile", func(s *shop, ids []int64) {
			s.cancel(ids[0])
			s.receive("A", 2)
		}, "2"},
		{"not an order that has a retryable job", func(s *shop, _ []int64) {
			s.exec(`update river_job set state = 'retryable', finalized_at = null where args ->> 'order_id' = '2'`)
			s.receive("A", 2)
			s.exec(`update river_job set state = 'completed', finalized_at = now() where state = 'retryable'`)
		}, "1"},
		{"a credit that a later sale of the set has taken wakes nobody", func(s *shop, _ []int64) {
			ids := s.place(credit(item("A", -2, "1")), sale(item("A", 2, "1")))
			s.finishJobs()
			s.process(ids...)
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			ids := s.waiting(1, 2)
			tc.do(s, ids)
			if got := s.liveJobs(); got != tc.want {
				t.Errorf("jobs for orders %q, want %q", got, tc.want)
			}
		})
	}
}

func (s *shop) correct(sku string, onHand int) (order.Product, int) {
	s.t.Helper()
	var product order.Product
	var woken int
	s.inTx(func(tx pgx.Tx) error {
		var err error
		product, woken, err = order.Correct(s.t.Context(), tx, s.jobs, sku, onHand, pgtest.Noon)
		return err
	})
	return product, woken
}

func TestCorrectNotesTheDifference(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 5)
	s.correct("A", 3)
	s.correct("A", 3)
	product, woken := s.correct("A", 7)
	if *product.OnHand != 7 || woken != 0 {
		t.Errorf("product = %+v, woken = %d", product, woken)
	}
	if got := rows(s, `select string_agg(reason || ' ' || quantity, ', ' order by id) from stock_movements`); got != "opening 5, correction -2, correction 4" {
		t.Errorf("movements = %s", got)
	}
	s.wantSound()
}

func TestTrack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into products (sku, description) values ('A', 'heart'), ('B', 'lantern')`)
	s.track("A", 0)
	s.inTx(func(tx pgx.Tx) error { return order.Track(t.Context(), tx, "B", "red lantern", 3, pgtest.Noon) })
	s.track("a", 4)
	if got := rows(s, `select string_agg(concat_ws(' ', sku, description, on_hand), ', ' order by sku) from products`); got != "A heart 0, B red lantern 3, a  4" {
		t.Errorf("products = %s", got)
	}
	if got := rows(s, `select string_agg(concat_ws(' ', sku, reason, quantity), ', ' order by id) from stock_movements`); got != "A opening 0, B opening 3, a opening 4" {
		t.Errorf("movements = %s", got)
	}
}

func TestStockRefusals(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 10)
	s.exec(`insert into products (sku) values ('U')`)
	receive := func(sku string, quantity int) func(pgx.Tx) error {
		return func(tx pgx.Tx) error {
			_, _, err := order.Receive(t.Context(), tx, s.jobs, sku, quantity, pgtest.Noon)
			return err
		}
	}
	correct := func(sku string, onHand int) func(pgx.Tx) error {
		return func(tx pgx.Tx) error {
			_, _, err := order.Correct(t.Context(), tx, s.jobs, sku, onHand, pgtest.Noon)
			return err
		}
	}
	track := func(sku, description string, onHand int) func(pgx.Tx) error {
		return func(tx pgx.Tx) error { return order.Track(t.Context(), tx, sku, description, onHand, pgtest.Noon) }
	}
	for _, tc := range []struct {
		name     string
		do       func(pgx.Tx) error
		sentinel error
		sentence string
	}{
		{"receive nothing", receive("A", 0), order.ErrInvalid, `quantity 0 is out of range; receive from 1 to 2147483647`},
		{"receive too much", receive("A", math.MaxInt32+1), order.ErrInvalid, `quantity 2147483648 is out of range; receive from 1 to 2147483647`},
		{"receive more than fits", receive("A", math.MaxInt32-9), order.ErrInvalid, `quantity 2147483638 is out of range: with 10 on hand, at most 2147483637 can be received`},
		{"receive of an unknown product", receive("X", 1), order.ErrNotFound, `product "X" does not exist`},
		{"receive of a product that cannot exist", receive("\x00", 1), order.ErrNotFound, `product "\x00" does not exist`},
		{"receive of an untracked product", receive("U", 1), order.ErrNotTracked, `stock of product "U" is not tracked; begin tracking it first`},
		{"correct below zero", correct("A", -1), order.ErrInvalid, `-1 on hand is out of range; give from 0 to 2147483647`},
		{"correct an unknown product", correct("X", 1), order.ErrNotFound, `product "X" does not exist`},
		{"correct an untracked product", correct("U", 1), order.ErrNotTracked, `stock of product "U" is not tracked; begin tracking it first`},
		{"track twice", track("A", "", 1), order.ErrTracked, `stock of product "A" is tracked already; correct or receive it instead`},
		{"track no product", track("", "", 1), order.ErrInvalid, `sku is empty; name the product`},
		{"track below zero", track("B", "", -1), order.ErrInvalid, `-1 on hand is out of range; give from 0 to 2147483647`},
		{"track a long sku", track(strings.Repeat("x", 300), "", 1), order.ErrInvalid, `product: sku "xxxxxxxxxxxxxxxxxxxx..." is 300 bytes long; use at most 200`},
		{"track a description that is no text", track("B", "\xff", 1), order.ErrInvalid, `product: description "\xff" is not valid UTF-8 text; remove the offending bytes`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantError(t, pgx.BeginFunc(t.Context(), s.pool, tc.do), tc.sentinel, tc.sentence)
		})
	}
	s.wantSound()
}
