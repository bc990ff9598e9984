package order_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/jobs"
)

func TestPlaceStoresOrderLinesAndJobTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	at := time.Date(2010, 12, 1, 8, 26, 0, 0, time.FixedZone("", 3600))
	placed := s.place(
		order.Draft{Number: "536365", Customer: "17850", Country: "France", Currency: "EUR", PlacedAt: at,
			Lines: []order.Line{{SKU: "85123A", Description: "heart", Quantity: 6, UnitPrice: decimal.RequireFromString("0.001")}, item("71053", 2, "3.39")}},
		order.Draft{Number: "C1", Kind: order.KindCredit, Customer: "17850", Lines: []order.Line{item("85123A", -1, "2.55"), item("71053", -2, "0")}},
		sale(item("85123A", 1, "0"), item("x", -3, "0"), item("y", 1, "-9.5")))
	if len(placed) != 3 {
		t.Fatalf("placed %d orders, want 3", len(placed))
	}

	got, err := order.Get(t.Context(), s.pool, placed[0])
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != "536365" || got.Kind != order.KindSale || got.Status != order.StatusPlaced || got.Customer != "17850" ||
		got.Country != "France" || got.Currency != "EUR" || !got.PlacedAt.Equal(at) || got.PlacedAt.Location() != time.UTC || !got.Enqueued || got.Reason != "" {
		t.Errorf("stored %+v", got)
	}
	if price := got.Lines[0].UnitPrice.String(); price != "0.001" {
		t.Errorf("unit price = %s, want 0.001", price)
	}
	for sql, want := range map[string]string{
		`select string_agg(line_kind, ' ' order by order_id, line_no) from order_lines`:                                         "item item item item gift write_off adjustment",
		`select string_agg(number, ' ') from customers`:                                                                         "17850",
		`select string_agg(coalesce(customer_id::text, 'guest') || ' ' || currency, ', ' order by id) from orders where id > 1`: "1 GBP, guest GBP",
		`select string_agg(state || queue || (args ->> 'order_id'), ' ' order by id) from river_job`:                            "availableorders1 availableorders2 availableorders3",
	} {
		if got := rows(s, sql); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
		}
	}
	if number := one[string](s, `select number from orders where id = $1`, placed[2]); len(number) != 36 {
		t.Errorf("made up number = %q", number)
	}
}

func TestPlaceAnswersWhatItStored(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.inTx(func(tx pgx.Tx) error {
		orders, err := order.Place(t.Context(), tx, s.jobs, order.Draft{Customer: "7", Lines: []order.Line{item("A", 2, "1.50")}}, order.Draft{Number: "n", Lines: []order.Line{item("B", 1, "0")}})
		if err != nil {
			return err
		}
		for _, o := range orders {
			stored, err := order.Get(t.Context(), tx, o.ID)
			if err != nil {
				return err
			}
			if o.Number != stored.Number || o.Kind != stored.Kind || o.Status != stored.Status || o.Customer != stored.Customer ||
				o.Currency != stored.Currency || !o.PlacedAt.Equal(stored.PlacedAt) || o.Enqueued != stored.Enqueued || len(o.Lines) != len(stored.Lines) ||
				o.Lines[0].Kind != stored.Lines[0].Kind || o.Lines[0].LineNo != 1 || !o.Lines[0].UnitPrice.Equal(stored.Lines[0].UnitPrice) {
				t.Errorf("answered %+v\nstored   %+v", o, stored)
			}
		}
		return nil
	})
}

func TestPlaceWithoutCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := order.Place(t.Context(), tx, s.jobs, sale(item("A", 1, "1"))); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := one[int](s, `select (select count(*) from orders) + (select count(*) from order_lines) + (select count(*) from river_job)`); n != 0 {
		t.Errorf("%d rows remain", n)
	}
}

func TestPlaceRefusesATakenNumber(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	draft := sale(item("A", 1, "1"))
	draft.Number = "7"
	s.place(draft)
	for _, tc := range []struct {
		name, sentence string
		drafts         []order.Draft
	}{
		{"by a stored order", `order number "7" is taken; choose another, or look at the stored order`, []order.Draft{sale(item("A", 1, "1")), draft}},
		{"by a draft of the same call", `order number "8" occurs twice; number each order once`,
			[]order.Draft{{Number: "8", Lines: draft.Lines}, {Number: "8", Lines: draft.Lines}}},
	} {
		err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
			_, err := order.Place(t.Context(), tx, s.jobs, tc.drafts...)
			return err
		})
		wantError(t, err, order.ErrDuplicate, tc.sentence)
	}
	if n := one[int](s, `select count(*) from orders`); n != 1 {
		t.Errorf("%d orders are stored, want 1", n)
	}
}

func TestPlaceRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	with := func(change func(*order.Draft)) order.Draft {
		d := sale(item("A", 1, "1"))
		d.Number = "7"
		change(&d)
		return d
	}
	line := func(l order.Line) order.Draft { return with(func(d *order.Draft) { d.Lines = []order.Line{l} }) }
	for _, tc := range []struct {
		name, sentence string
		draft          order.Draft
	}{
		{"no lines", `order "7": it has no lines; give at least one`, with(func(d *order.Draft) { d.Lines = nil })},
		{"number too long", `order: number "xxxxxxxxxxxxxxxxxxxx..." is 201 bytes long; use at most 200`, with(func(d *order.Draft) { d.Number = strings.Repeat("x", 201) })},
		{"no number in a message", `order 1 of 1: it has no lines; give at least one`, order.Draft{}},
		{"a zero byte", `order "7": customer "a\x00" is not valid UTF-8 text; remove the offending bytes`, with(func(d *order.Draft) { d.Customer = "a\x00" })},
		{"not UTF-8", `order "7": country "\xff" is not valid UTF-8 text; remove the offending bytes`, with(func(d *order.Draft) { d.Country = "\xff" })},
		{"currency", `order "7": currency "gbp" is not three capital letters; write it like GBP`, with(func(d *order.Draft) { d.Currency = "gbp" })},
		{"kind", `order "7": kind "gift" is unknown; use sale, credit or adjustment`, with(func(d *order.Draft) { d.Kind = "gift" })},
		{"placed_at", `order "7": placed_at 10000-01-01 00:00:00 +0000 UTC is out of range; give a year from 1 to 9999`,
			with(func(d *order.Draft) { d.PlacedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
		{"empty sku", `order "7", line 1: sku is empty; name the product`, line(item("", 1, "1"))},
		{"line kind", `order "7", line 1: kind "sale" is unknown; use item, gift, write_off or adjustment`, line(order.Line{Kind: "sale", SKU: "A", Quantity: 1})},
		{"quantity zero", `order "7", line 1: quantity 0 orders nothing; give another or leave the line out`, line(item("A", 0, "1"))},
		{"quantity too large", `order "7", line 1: quantity 2147483648 is out of range; it must lie between -2147483648 and 2147483647`, line(item("A", math.MaxInt32+1, "0"))},
		{"five decimals", `order "7", line 1: unit_price 0.00001 has more than 4 decimals; round it`, line(item("A", 1, "0.00001"))},
		{"absurdly many decimals", `order "7", line 1: unit_price 1e-999999999 has more than 4 decimals; round it`, line(order.Line{SKU: "A", Quantity: 1, UnitPrice: decimal.New(1, -999999999)})},
		{"price too large", `order "7", line 1: unit_price -10000000000 is out of range; it must stay below 10000000000 either way`, line(item("A", 1, "-1e10"))},
		{"absurdly large price", `order "7", line 1: unit_price 1e999999999 is out of range; it must stay below 10000000000 either way`, line(order.Line{SKU: "A", Quantity: 1, UnitPrice: decimal.New(1, 999999999)})},
		{"amount too large", `order "7", line 1: quantity 11 times unit_price 9999999999 is out of range; the product must stay below 100000000000 either way`, line(item("A", 11, "9999999999"))},
		{"total too large", `order "7": the total 1099999999890 is out of range; it must stay below 1000000000000 either way`,
			with(func(d *order.Draft) {
				d.Lines = nil
				for range 11 {
					d.Lines = append(d.Lines, item("A", 10, "9999999999"))
				}
			})},
		{"a write-off above zero", `order "7", line 1: quantity 3 of a write-off is above zero; write it as -3`, line(order.Line{Kind: order.LineWriteOff, SKU: "A", Quantity: 3})},
		{"a gift at a price", `order "7", line 1: unit_price 1 of a gift is not zero; it moves no money`,
			line(order.Line{Kind: order.LineGift, SKU: "A", Quantity: 3, UnitPrice: decimal.NewFromInt(1)})},
		{"line numbers that collide", `order "7": line_no 2 occurs twice; number the lines 1, 2, 3 or leave line_no out of all`,
			with(func(d *order.Draft) {
				d.Lines = []order.Line{{LineNo: 2, SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 1}}
			})},
		{"line number below one", `order "7", line 1: line_no -1 is out of range; number the lines 1, 2, 3 or leave line_no out of all`, line(order.Line{LineNo: -1, SKU: "A", Quantity: 1})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
				_, err := order.Place(t.Context(), tx, s.jobs, tc.draft)
				return err
			})
			wantError(t, err, order.ErrInvalid, tc.sentence)
		})
	}
}

func TestPlaceTakesTheExtremes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := s.place(
		sale(item("A", math.MaxInt32, "0.0001"), item("A", 1, "9999999999.9999"), item(strings.Repeat("é", 100), math.MinInt32, "0"), order.Line{SKU: "Z", Quantity: 1, UnitPrice: decimal.New(0, 999999999)}),
		order.Draft{Number: strings.Repeat("x", 200), Lines: []order.Line{{LineNo: math.MaxInt32, SKU: "A", Quantity: 10, UnitPrice: decimal.RequireFromString("9999999999.0000000")}}},
		credit(item("A", math.MinInt32, "0.0001")))
	if got := statuses(s.process(ids...)); got != "processed processed processed" {
		t.Errorf("answers = %s", got)
	}
	if got := rows(s, `select string_agg(amount::text, ' ' order by id) from ledger_entries where account = 'receivable'`); got != "10000214748.3646 99999999990.0000 -214748.3648" {
		t.Errorf("receivable = %s", got)
	}
	s.wantSound()
}

func TestPlaceNeverTakesOverAJobThatWasThereFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders default values`) // so that the next id is known: 2
	s.inTx(func(tx pgx.Tx) error {
		for _, guessed := range []int64{2, 4} {
			if _, err := s.jobs.InsertTx(t.Context(), tx, jobs.ProcessOrderArgs{OrderID: guessed}, &river.InsertOpts{ScheduledAt: pgtest.Noon.AddDate(5000, 0, 0)}); err != nil {
				return err
			}
		}
		return nil
	})
	place := func(drafts ...order.Draft) error {
		return postgres.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
			_, err := order.Place(t.Context(), tx, s.jobs, drafts...)
			return err
		})
	}
	draft := sale(item("A", 1, "1"))
	for _, drafts := range [][]order.Draft{{draft}, {draft, draft}} { // orders 2; 3 and 4
		name := fmt.Sprint(len(drafts), " orders")
		if err := place(drafts...); !errors.Is(err, order.ErrBusy) || !strings.Contains(err.Error(), "place") {
			t.Errorf("%s: %v, want ErrBusy", name, err)
		}
		if n := one[int](s, `select count(*) from orders`); n != 1 {
			t.Errorf("%s: %d orders are stored without a job of their own", name, n-1)
		}
	}
	if err := place(draft, draft); err != nil {
		t.Errorf("placed again: %v", err)
	}
}

func TestAnOrderIsDatedADayAheadAtMost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		ahead time.Duration
		ok    bool
	}{
		{"years ago", -20 * 365 * 24 * time.Hour, true},
		{"a day ahead", 24 * time.Hour, true},
		{"more than a day ahead", 24*time.Hour + time.Second, false},
	} {
		err := order.CheckPlacedAt(pgtest.Noon.Add(tc.ahead), pgtest.Noon)
		if (err == nil) != tc.ok || !tc.ok && (!errors.Is(err, order.ErrInvalid) || order.FieldOf(err) != "placed_at") {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if err := order.CheckPlacedAt(time.Time{}, pgtest.Noon); err != nil {
		t.Errorf("now: %v", err)
	}
}
