package order_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

func TestNotFound(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, err := order.Get(t.Context(), s.pool, 41)
	wantError(t, err, order.ErrNotFound, "order 41 does not exist")
	_, err = order.History(t.Context(), s.pool, 41)
	wantError(t, err, order.ErrNotFound, "order 41 does not exist")
	_, err = order.FindByNumber(t.Context(), s.pool, "41")
	wantError(t, err, order.ErrNotFound, `order number "41" does not exist`)
	_, err = order.FindByNumber(t.Context(), s.pool, "\x00")
	wantError(t, err, order.ErrNotFound, `order number "\x00" does not exist`)
	_, err = order.GetProduct(t.Context(), s.pool, "A")
	wantError(t, err, order.ErrNotFound, `product "A" does not exist`)
	_, err = order.GetProduct(t.Context(), s.pool, "\xff")
	wantError(t, err, order.ErrNotFound, `product "\xff" does not exist`)
}

func TestFindByNumber(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(order.Draft{Number: "536365", Lines: []order.Line{item("A", 1, "1")}})[0]
	if got, err := order.FindByNumber(t.Context(), s.pool, "536365"); got != id || err != nil {
		t.Errorf("FindByNumber = %d, %v; want %d", got, err, id)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 2)
	mine := func(d order.Draft) order.Draft { d.Customer = "17850"; return d }
	ids := s.place(mine(sale(item("A", 1, "1"))), credit(item("U", -1, "1")), mine(sale(item("A", 5, "1"))), sale(item("U", 1, "1")), mine(credit(item("U", -2, "1"))))
	s.process(ids[:4]...)
	for _, tc := range []struct {
		name   string
		filter order.Filter
		want   string
	}{
		{"all, newest first", order.Filter{}, "5 4 3 2 1"},
		{"a page", order.Filter{Limit: 2}, "5 4"},
		{"the next page", order.Filter{Limit: 2, After: 4}, "3 2"},
		{"the last page", order.Filter{Limit: 2, After: 2}, "1"},
		{"of a status", order.Filter{Status: order.StatusAwaitingStock}, "3"},
		{"of a kind", order.Filter{Kind: order.KindCredit}, "5 2"},
		{"of a customer", order.Filter{Customer: "17850"}, "5 3 1"},
		{"of an unknown customer", order.Filter{Customer: "1"}, ""},
		{"of a customer that cannot exist", order.Filter{Customer: "\x00"}, ""},
		{"of all three", order.Filter{Status: order.StatusProcessed, Kind: order.KindSale, Customer: "17850"}, "1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			orders, err := order.List(t.Context(), s.pool, tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, o := range orders {
				if o.Lines != nil {
					t.Errorf("order %d comes with lines", o.ID)
				}
				got += fmt.Sprint(o.ID, " ")
			}
			if want := tc.want; got != want && got != want+" " {
				t.Errorf("listed %q, want %q", got, want)
			}
		})
	}
	for sentence, filter := range map[string]order.Filter{
		`status "open" is unknown; use placed, awaiting_stock, processed, rejected or cancelled`: {Status: "open"},
		`kind "gift" is unknown; use sale, credit or adjustment`:                                 {Kind: "gift"},
		`limit 1001 is out of range; use 1 to 1000`:                                              {Limit: 1001},
		`limit -1 is out of range; use 1 to 1000`:                                                {Limit: -1},
	} {
		_, err := order.List(t.Context(), s.pool, filter)
		wantError(t, err, order.ErrInvalid, sentence)
	}
}

func TestListProducts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.waiting(1, 2)
	s.track("b", 5)
	s.exec(`insert into products (sku, description) values ('Z', 'lamp')`)
	for _, tc := range []struct {
		name   string
		filter order.ProductFilter
		want   string
	}{
		{"by sku, byte for byte", order.ProductFilter{}, "A 0 waiting 2, Z untracked waiting 0, b 5 waiting 0, "},
		{"a page", order.ProductFilter{Limit: 1}, "A 0 waiting 2, "},
		{"the next page", order.ProductFilter{Limit: 1, After: "A"}, "Z untracked waiting 0, "},
		{"that orders wait for", order.ProductFilter{Waiting: true}, "A 0 waiting 2, "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			products, err := order.ListProducts(t.Context(), s.pool, tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, p := range products {
				onHand := "untracked"
				if p.OnHand != nil {
					onHand = fmt.Sprint(*p.OnHand)
				}
				got += fmt.Sprintf("%s %s waiting %d, ", p.SKU, onHand, p.Waiting)
			}
			if got != tc.want {
				t.Errorf("listed %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOrderAsJSON(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(order.Draft{Number: "7", Country: "France", PlacedAt: pgtest.Noon, Lines: []order.Line{item("A", 3, "0.0010")}})[0]
	s.exec(`update orders set reason = 'why' where id = $1`, id)
	got, err := order.Get(t.Context(), s.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":1,"number":"7","kind":"sale","status":"placed","country":"France","currency":"GBP","placed_at":"2026-03-04T12:00:00Z","enqueued":true,"reason":"why",` +
		`"lines":[{"line_no":1,"kind":"item","sku":"A","quantity":3,"unit_price":"0.001"}]}`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.waiting(2)[0]
	waiting, err := order.History(t.Context(), s.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	if len(waiting.Waits) != 1 || waiting.Waits[0].SKU != "A" || waiting.Waits[0].Needed != 2 || *waiting.Waits[0].OnHand != 0 || len(waiting.Effects) != 0 {
		t.Errorf("while waiting: %+v", waiting)
	}
	s.receive("A", 5)
	s.exec(`update river_job set state = 'running', attempt = 2, attempted_at = now(),
		errors = array['{"error": "first"}', '{"error": "connection refused"}']::jsonb[] where finalized_at is null`)
	s.process(id)
	got, err := order.History(t.Context(), s.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Order.Status != order.StatusProcessed || len(got.Order.Lines) != 1 || len(got.Waits) != 0 {
		t.Errorf("order = %+v, waits = %+v", got.Order, got.Waits)
	}
	if len(got.Transitions) != 2 || got.Transitions[0].From != order.StatusPlaced || got.Transitions[0].JobID != nil ||
		got.Transitions[1].To != order.StatusProcessed || got.Transitions[1].JobID == nil || *got.Transitions[1].JobID != got.Jobs[1].ID {
		t.Errorf("transitions = %+v", got.Transitions)
	}
	if len(got.Effects) != 2 || got.Effects[0].Effect != "ledger" || got.Effects[1].Effect != "stock" || *got.Effects[0].JobID != got.Jobs[1].ID {
		t.Errorf("effects = %+v", got.Effects)
	}
	if len(got.Entries) != 2 || got.Entries[0].Account != "receivable" || got.Entries[0].Amount.String() != "2" || !got.Entries[1].Amount.Equal(got.Entries[0].Amount.Neg()) {
		t.Errorf("entries = %+v", got.Entries)
	}
	if len(got.Movements) != 1 || got.Movements[0].Quantity != -2 || got.Movements[0].Reason != "sale" || got.Movements[0].At.Location().String() != "UTC" {
		t.Errorf("movements = %+v", got.Movements)
	}
	if len(got.Jobs) != 2 || got.Jobs[0].State != "completed" || got.Jobs[0].FinalizedAt == nil || got.Jobs[1].State != "running" ||
		got.Jobs[1].Attempt != 2 || got.Jobs[1].MaxAttempts != 10 || got.Jobs[1].LastError != "connection refused" {
		t.Errorf("jobs = %+v", got.Jobs)
	}
}
