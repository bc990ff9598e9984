package report

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestBuyersAreMergedInAnyOrder adds up what one customer did in chunks that come in any order, among others.
func TestBuyersAreMergedInAnyOrder(t *testing.T) {
	t.Parallel()
	until := time.Date(2011, time.May, 31, 0, 0, 0, 0, time.UTC)
	ago := func(days int) *time.Time { return new(until.AddDate(0, 0, -days).Add(time.Hour)) }
	found := []bought{
		{Customer: 7, Currency: "GBP", Orders: 2, Last: ago(30), Net: 500},
		{Customer: 7, Currency: "GBP", Orders: 0, Net: -100}, // a credit alone has no last order
		{Customer: 7, Currency: "GBP", Orders: 1, Last: ago(3), Net: 50},
		{Customer: 7, Currency: "EUR", Orders: 1, Last: ago(1), Net: 9},
		{Customer: 8, Currency: "GBP", Orders: 0, Net: -5},
	}
	rng := rand.New(rand.NewPCG(6, 7))
	for range 200 {
		rng.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
		b := &buyers{until: until, zone: time.UTC}
		for _, one := range found {
			b.add(one)
		}
		b.merge()
		got := map[bought]int32{}
		for _, one := range b.all {
			got[bought{Customer: one.customer, Currency: b.currencies[one.currency], Orders: int64(one.orders), Net: one.net}] = one.days
		}
		want := map[bought]int32{
			{Customer: 7, Currency: "GBP", Orders: 3, Net: 450}: 3,
			{Customer: 7, Currency: "EUR", Orders: 1, Net: 9}:   1,
			{Customer: 8, Currency: "GBP", Net: -5}:             0,
		}
		if len(got) != len(want) || len(b.all) != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for key, days := range want {
			if at, merged := got[key]; !merged || at != days {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
}
