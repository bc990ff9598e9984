package order_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

// randomDrafts are orders of all kinds on few products, so that they are often short. Write-offs stand
// alone: an order that waits and writes off may be rejected whenever it is asked.
func randomDrafts(random *rand.Rand, n int) []order.Draft {
	drafts := make([]order.Draft, n)
	for i := range drafts {
		d := order.Draft{PlacedAt: pgtest.Noon.Add(time.Duration(random.IntN(10)) * time.Second)}
		sign := 1
		switch random.IntN(5) {
		case 0:
			d.Kind, sign = order.KindCredit, -1
		case 1:
			d.Kind = order.KindAdjustment
			d.Lines = []order.Line{item(randomSKU(random), -1-random.IntN(4), "0")}
		}
		for range 1 + random.IntN(4) {
			if d.Kind != order.KindAdjustment {
				d.Lines = append(d.Lines, item(randomSKU(random), sign*(1+random.IntN(4)), fmt.Sprintf("%d.%04d", random.IntN(3), random.IntN(10000))))
			}
		}
		if d.Kind == "" && random.IntN(4) == 0 { // a mixed order gives back what it also takes
			d.Lines = append(d.Lines, item(randomSKU(random), -1-random.IntN(3), "1.5"))
		}
		drafts[i] = d
	}
	return drafts
}

func randomSKU(random *rand.Rand) string { return string(rune('A' + random.IntN(5))) }

// stocked tracks A to D and leaves E untracked.
func (s *shop) stocked(random *rand.Rand) {
	for _, sku := range []string{"A", "B", "C", "D"} {
		s.track(sku, random.IntN(8))
	}
}

func TestASetEqualsItsOrdersOneByOne(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	random := rand.New(rand.NewPCG(2, 2010))
	s.stocked(random)
	seen := map[string]int{}
	for round := range 60 {
		ids := s.place(randomDrafts(random, 2+random.IntN(12))...)
		random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		set := s.inside(func(tx pgx.Tx) {
			answers := s.processIn(tx, ids...)
			for i, a := range answers {
				if a.OrderID != ids[i] {
					t.Fatalf("answer %d is about order %d, want %d", i, a.OrderID, ids[i])
				}
				if stored := oneOf[string](t, tx, `select status from orders where id = $1`, a.OrderID); stored != string(a.Status) {
					t.Fatalf("answer %s, stored %s", a.Status, stored)
				}
				seen[string(a.Status)]++
			}
		})
		single := s.inside(func(tx pgx.Tx) { s.oneByOne(tx, ids) })
		if set != single {
			t.Fatalf("round %d, orders %v\nas a set:\n%s\n\none by one:\n%s", round, ids, set, single)
		}
		quick := s.inside(func(tx pgx.Tx) {
			if _, err := order.ProcessQuick(t.Context(), tx, s.jobs, ids, pgtest.Noon, nil); err != nil {
				t.Fatal(err)
			}
		})
		if quick != single {
			t.Fatalf("round %d, orders %v\nquickly:\n%s\n\none by one:\n%s", round, ids, quick, single)
		}
		if random.IntN(3) == 0 {
			s.process(ids...) // later rounds begin with waiting orders and other stock
			s.wantSound()
		}
	}
	for _, status := range []string{"processed", "awaiting_stock", "rejected"} {
		if seen[status] < 10 {
			t.Errorf("only %d of the random orders were %s; the test shows little", seen[status], status)
		}
	}
}

// inside runs work in a transaction that is rolled back and answers what it did to the tables.
func (s *shop) inside(work func(pgx.Tx)) string {
	s.t.Helper()
	tx, err := s.pool.Begin(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Rollback(s.t.Context()) //nolint:errcheck // nothing is to be kept
	work(tx)
	return oneOf[string](s.t, tx, effectsSQL)
}

func (s *shop) processIn(tx pgx.Tx, ids ...int64) []order.Answer {
	s.t.Helper()
	answers, err := order.Process(s.t.Context(), tx, s.jobs, ids, pgtest.Noon)
	if err != nil {
		s.t.Fatal(err)
	}
	return answers
}

// oneByOne processes orders alone, then those that wait, oldest first, until nothing changes.
func (s *shop) oneByOne(tx pgx.Tx, ids []int64) {
	s.t.Helper()
	for _, id := range ids {
		s.processIn(tx, id)
	}
	for before := ""; before != oneOf[string](s.t, tx, effectsSQL); {
		before = oneOf[string](s.t, tx, effectsSQL)
		waiting := oneOf[[]int64](s.t, tx, `select coalesce(array_agg(id order by placed_at, id), '{}') from orders where status = 'awaiting_stock' and id = any($1)`, ids)
		for _, id := range waiting {
			s.processIn(tx, id)
		}
	}
}

func TestProcessingEverythingAgainChangesNoRow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	random := rand.New(rand.NewPCG(3, 2011))
	s.stocked(random)
	ids := s.place(randomDrafts(random, 200)...)
	first := s.process(ids...)
	s.wantSound()
	before := one[string](s, versionsSQL)
	again := s.process(ids...)
	for i := range first {
		if again[i] != first[i] {
			t.Errorf("again %+v, first %+v", again[i], first[i])
		}
	}
	if after := one[string](s, versionsSQL); after != before {
		t.Errorf("processing again wrote rows\nbefore:\n%s\nafter:\n%s", before, after)
	}
}
