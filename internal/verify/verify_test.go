package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/verify"
)

func TestSoundShopHasNoOffenders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.wantSound("an empty database")
	s.furnish()
	s.wantSound("an order in every state")
	for _, result := range s.verify() {
		if result.LookedAt == 0 {
			t.Errorf("check %s looked at nothing, so that it proves nothing", result.Check.Name)
		}
	}
	var statuses string
	err := s.pool.QueryRow(t.Context(), `select string_agg(distinct status, ' ' order by status) from orders`).Scan(&statuses)
	if err != nil || statuses != "awaiting_stock cancelled placed processed rejected" {
		t.Errorf("the shop holds orders that are %s (%v), want every status", statuses, err)
	}
}

func TestSampleShopIsSoundAllTheWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, product := range order.SampleProducts() {
		if product.OnHand != nil {
			s.track(product.SKU, *product.OnHand)
		}
	}
	s.place(order.Sample(300, 1, pgtest.Noon)...)
	s.wantSound("all are placed")
	s.work(100)
	s.wantSound("some are processed")
	s.work(1000)
	s.wantSound("all are settled")
	s.receive("TIN", 5000)
	s.wantSound("those that waited are woken")
	s.work(1000)
	s.wantSound("those that waited are processed")
}

func TestAllChecksSeeOneSnapshot(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.furnish()
	first := true
	results, err := verify.Run(t.Context(), s.pool, func(verify.Result) {
		if first {
			s.exec(`update products set on_hand = 1 where sku = 'A'`)
			s.exec(`insert into ledger_entries (order_id, account, amount, at) values (4711, 'revenue', 1, now())`)
		}
		first = false
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := offenders(results); len(found) > 0 {
		t.Errorf("a change made during the run was seen: %q", found)
	}
	if len(offenders(s.verify())) == 0 {
		t.Error("the next run does not see it either")
	}
}

func TestCancelledRunSaysSoAndKeepsWhatItFound(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	results, err := verify.Run(ctx, s.pool, func(verify.Result) { cancel() })
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "verify: check "+verify.Checks()[1].Name) {
		t.Errorf("error = %v, want that of the context, in the second check", err)
	}
	if len(results) != 1 {
		t.Errorf("%d results, want that of the first check", len(results))
	}
	s.wantSound("after a cancelled run")
}

func TestManyOffendersAreCountedAndTheFirstShown(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const broken = verify.MostShown + 5
	s.exec(`insert into order_effects (order_id, effect, applied_at) select n, 'stock', now() from generate_series(1, $1) n`, broken)
	result := s.verify()[0]
	if result.Offenders != broken || len(result.Shown) != verify.MostShown {
		t.Fatalf("%d offenders, %d shown; want %d and %d", result.Offenders, len(result.Shown), broken, verify.MostShown)
	}
	if diff := cmp.Diff(verify.Offender{Key: "2", Wrong: "does not exist, but has effects"}, result.Shown[1]); diff != "" {
		t.Errorf("second offender, by number (-want +got):\n%s", diff)
	}
}

func TestEveryCheckSaysWhatItIs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range verify.Checks() {
		if c.Name == "" || c.What == "" || c.Of == "" || seen[c.Name] {
			t.Errorf("check %+v leaves something out or repeats a name", c)
		}
		seen[c.Name] = true
	}
}
