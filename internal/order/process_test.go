package order_test

import (
	"math"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
)

// Each case begins with A tracked at 10, B tracked at 0, and U untracked.
func TestProcess(t *testing.T) {
	t.Parallel()
	adjustment := func(lines ...order.Line) order.Draft {
		return order.Draft{Kind: order.KindAdjustment, Lines: lines}
	}
	for _, tc := range []struct {
		name   string
		draft  order.Draft
		answer order.Answer
		stock  string // A and B afterwards
		moved  string
		ledger string
		waits  string
	}{
		{"a sale takes stock and posts revenue", sale(item("A", 3, "2.50")),
			order.Answer{Status: order.StatusProcessed}, "7 0", "A sale -3", "receivable 7.5000 revenue -7.5000", ""},
		{"amounts are exact", sale(item("A", 3, "0.001"), item("U", 7, "0.0001")),
			order.Answer{Status: order.StatusProcessed}, "7 0", "A sale -3", "receivable 0.0037 revenue -0.0037", ""},
		{"lines of one product are summed", sale(item("A", 3, "1"), item("A", 4, "2"), item("A", 1, "0")),
			order.Answer{Status: order.StatusProcessed}, "2 0", "A sale -8", "receivable 11.0000 revenue -11.0000", ""},
		{"a net of zero moves nothing", sale(item("A", 3, "1"), item("A", -3, "1")),
			order.Answer{Status: order.StatusProcessed}, "10 0", "", "", ""},
		{"an untracked product is never short and has no movements", sale(item("U", 1000000, "1")),
			order.Answer{Status: order.StatusProcessed}, "10 0", "", "receivable 1000000.0000 revenue -1000000.0000", ""},
		{"a gift takes stock and posts nothing", sale(item("A", 3, "0")),
			order.Answer{Status: order.StatusProcessed}, "7 0", "A sale -3", "", ""},
		{"an accounting adjustment touches the ledger only", adjustment(item("A", 1, "-11062.06")),
			order.Answer{Status: order.StatusProcessed}, "10 0", "", "receivable -11062.0600 revenue 11062.0600", ""},
		{"a write-off takes stock", adjustment(item("A", -4, "0")),
			order.Answer{Status: order.StatusProcessed}, "6 0", "A write_off -4", "", ""},
		{"a write-off of all there is", adjustment(item("A", -6, "0"), item("A", -4, "0")),
			order.Answer{Status: order.StatusProcessed}, "0 0", "A write_off -10", "", ""},
		{"a write-off of more than there is cannot be", adjustment(item("A", -6, "0"), item("A", -5, "0")),
			order.Answer{Status: order.StatusRejected, Reason: `order 1: writes off 11 of sku "A", of which 10 are on hand`}, "10 0", "", "", ""},
		{"a write-off of an untracked product always can be", adjustment(item("U", -5, "0")),
			order.Answer{Status: order.StatusProcessed}, "10 0", "", "", ""},
		{"sale and write-off of one product are two movements", sale(item("A", 2, "1"), item("A", -3, "0")),
			order.Answer{Status: order.StatusProcessed}, "5 0", "A sale -2, A write_off -3", "receivable 2.0000 revenue -2.0000", ""},
		{"a credit gives stock back and reverses money", credit(item("A", -3, "2.50"), item("B", -1, "0")),
			order.Answer{Status: order.StatusProcessed}, "13 1", "A credit 3, B credit 1", "receivable -7.5000 revenue 7.5000", ""},
		{"short of one product an order takes none of any", sale(item("A", 3, "1"), item("B", 2, "1"), item("U", 1, "1")),
			order.Answer{Status: order.StatusAwaitingStock, Reason: `order 1 waits for 2 of sku "B"`}, "10 0", "", "", "B 2"},
		{"an order waits for the sum of its lines, of every short product", sale(item("B", 1, "1"), item("A", 6, "1"), item("A", 5, "1"), item("B", 1, "0")),
			order.Answer{Status: order.StatusAwaitingStock, Reason: `order 1 waits for 11 of sku "A" and 1 more`}, "10 0", "", "", "A 11, B 2"},
		{"sale and write-off of one product wait together", sale(item("A", 8, "1"), item("A", -3, "0")),
			order.Answer{Status: order.StatusAwaitingStock, Reason: `order 1 waits for 11 of sku "A"`}, "10 0", "", "", "A 11"},
		{"what stock can never hold is rejected", sale(item("A", math.MaxInt32, "0.01"), item("A", 1, "1")),
			order.Answer{Status: order.StatusRejected, Reason: `order 1: moves -2147483648 of sku "A", more than stock can hold (2147483647)`}, "10 0", "", "", ""},
		{"so is what two reasons sum to", sale(item("A", math.MaxInt32, "0.01"), item("A", -1, "0")),
			order.Answer{Status: order.StatusRejected, Reason: `order 1: takes 2147483648 of sku "A", more than stock can hold (2147483647)`}, "10 0", "", "", ""},
		{"what a credit would overflow is rejected", credit(item("A", -(math.MaxInt32 - 9), "0.01")),
			order.Answer{Status: order.StatusRejected, Reason: `order 1: gives back 2147483638 of sku "A" to 10 on hand, more than stock can hold (2147483647)`}, "10 0", "", "", ""},
		{"a credit may fill stock to the brim", credit(item("A", -(math.MaxInt32 - 10), "0.01")),
			order.Answer{Status: order.StatusProcessed}, "2147483647 0", "A credit 2147483637", "receivable -21474836.3700 revenue 21474836.3700", ""},
		{"sums that overflow do not matter when untracked", sale(item("U", math.MaxInt32, "1"), item("U", math.MaxInt32, "1")),
			order.Answer{Status: order.StatusProcessed}, "10 0", "", "receivable 4294967294.0000 revenue -4294967294.0000", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.track("A", 10)
			s.track("B", 0)
			s.exec(`insert into products (sku) values ('U')`)
			id := s.place(tc.draft)[0]
			tc.answer.OrderID = id
			if got := s.process(id); len(got) != 1 || got[0] != tc.answer {
				t.Errorf("answer = %+v, want %+v", got, tc.answer)
			}
			for sql, want := range map[string]string{
				`select string_agg(on_hand::text, ' ' order by sku) from products`:                                                                   tc.stock,
				`select string_agg(concat_ws(' ', sku, reason, quantity), ', ' order by sku, reason) from stock_movements where reason <> 'opening'`: tc.moved,
				`select string_agg(account || ' ' || amount, ' ' order by id) from ledger_entries`:                                                   tc.ledger,
				`select string_agg(sku || ' ' || needed, ', ' order by sku) from order_waits`:                                                        tc.waits,
				`select string_agg(concat_ws(' ', from_status, to_status), ', ' order by id) from order_transitions`:                                 "placed " + string(tc.answer.Status),
				`select coalesce(reason, '') from orders`:                                                                                            reasonStored(tc.answer),
			} {
				if got := rows(s, sql); got != want {
					t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
				}
			}
			s.wantSound()
			before := one[string](s, versionsSQL)
			if again := s.process(id, id); again[0] != tc.answer || again[1] != tc.answer {
				t.Errorf("again: %+v, want %+v twice", again, tc.answer)
			}
			if after := one[string](s, versionsSQL); after != before {
				t.Errorf("processing again wrote rows\nbefore:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// reasonStored is the part of an answer's reason that the order keeps.
func reasonStored(a order.Answer) string {
	if a.Status == order.StatusRejected {
		return a.Reason
	}
	return ""
}

func TestProcessOfWhatPlainSQLInserted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 10)
	lineless := s.bare()
	positive := s.bare(`'A', 'write_off', 3, 0`)
	least := s.bare(`'A', 'write_off', -2147483648, 0`)
	pricedGift := s.bare(`'A', 'gift', 1, 5`)
	huge := s.bare(`'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`,
		`'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`,
		`'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`, `'U', 'item', 10, 9999999999`)
	got := s.process(lineless, positive, least, pricedGift, huge, 4711)
	want := []order.Answer{
		{OrderID: lineless, Status: order.StatusRejected, Reason: "order 1 has no lines"},
		{OrderID: positive, Status: order.StatusProcessed},
		{OrderID: least, Status: order.StatusRejected, Reason: `order 3: writes off 2147483648 of sku "A", of which 7 are on hand`},
		{OrderID: pricedGift, Status: order.StatusProcessed},
		{OrderID: huge, Status: order.StatusRejected, Reason: "order 5: its total 1099999999890 is out of the ledger's range (below 1000000000000 either way)"},
		{OrderID: 4711},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("answer %d = %+v, want %+v", i, got[i], want[i])
		}
	}
	if n := one[int](s, `select on_hand from products`); n != 6 {
		t.Errorf("on hand = %d, want 6", n)
	}
	if n := one[int](s, `select count(*) from orders where not enqueued`); n != 0 {
		t.Errorf("%d processed orders are still to be enqueued", n)
	}
	s.wantSound()
}

func TestProcessDecidesInTheOrderGiven(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 5)
	big, small, back, lost, rest := sale(item("A", 4, "1")), sale(item("A", 2, "1")), credit(item("A", -1, "1")),
		order.Draft{Kind: order.KindAdjustment, Lines: []order.Line{item("A", -3, "0")}}, sale(item("A", 1, "1"))
	ids := s.place(big, small, back, lost, rest)
	for _, tc := range []struct {
		name  string
		ids   []int64
		want  string
		stock int
	}{
		{"the first takes what it needs", []int64{ids[0], ids[1]}, "processed awaiting_stock", 1},
		{"the second had it, had it come first", []int64{ids[1], ids[0]}, "processed awaiting_stock", 3},
		{"a neighbour that waits holds nothing back", []int64{ids[0], ids[1], ids[4]}, "processed awaiting_stock processed", 0},
		{"a neighbour that is rejected changes nothing", []int64{ids[0], ids[3], ids[4]}, "processed rejected processed", 0},
		{"what is given back is there for the next", []int64{ids[0], ids[2], ids[1]}, "processed processed processed", 0},
		{"and for one before that is short", []int64{ids[0], ids[1], ids[2]}, "processed processed processed", 0},
		{"but not when the next has it first", []int64{ids[0], ids[1], ids[2], ids[4]}, "processed awaiting_stock processed processed", 1},
		{"a repeated id is answered each time", []int64{ids[4], ids[4], 4711, ids[4]}, "processed processed  processed", 4},
		{"no id, no answer", nil, "", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tx, err := s.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(t.Context()) //nolint:errcheck // each case begins with the same tables
			answers, err := order.Process(t.Context(), tx, s.jobs, tc.ids, pgtest.Noon)
			if err != nil {
				t.Fatal(err)
			}
			if got := statuses(answers); got != tc.want {
				t.Errorf("answers = %q, want %q", got, tc.want)
			}
			if n := oneOf[int](t, tx, `select on_hand from products`); n != tc.stock {
				t.Errorf("on hand = %d, want %d", n, tc.stock)
			}
		})
	}
}

func TestProcessNotesTheRunningJob(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := s.place(sale(item("U", 1, "1")), sale(item("U", 1, "1")))
	job := one[int64](s, `update river_job set state = 'running' where args ->> 'order_id' = $1::bigint::text returning id`, ids[0])
	s.process(ids...)
	for _, table := range []string{"order_effects", "order_transitions"} {
		if n := one[int](s, `select count(*) from `+table+` where order_id = $1 and job_id = $2`, ids[0], job); n == 0 {
			t.Errorf("%s of an order with a running job does not name it", table)
		}
		if n := one[int](s, `select count(*) from `+table+` where order_id = $1 and job_id is null`, ids[1]); n == 0 {
			t.Errorf("%s of an order without a running job names one", table)
		}
	}
}

// An order that is open although its effects are recorded is a fault that somebody must look at. It
// fails alone, whichever of the effects is recorded, and writes nothing.
func TestProcessRefusesADoubledEffect(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := s.place(sale(item("U", 1, "1")), sale(item("U", 2, "1")), sale(item("U", 3, "1")))
	s.exec(`insert into order_effects (order_id, effect, applied_at) values ($1, 'ledger', now()), ($2, 'stock', now())`, ids[0], ids[2])
	answers := s.process(ids...)
	for i, guilty := range []bool{true, false, true} {
		if (answers[i].Err != nil) != guilty || answers[i].OrderID != ids[i] {
			t.Errorf("answer %d = %+v, want an error: %t", i, answers[i], guilty)
		}
	}
	if got := one[string](s, `select string_agg(status, ' ' order by id) from orders`); got != "placed processed placed" {
		t.Errorf("statuses = %s", got)
	}
	if n := one[int](s, `select count(*) from ledger_entries`); n != 2 {
		t.Errorf("%d ledger entries, want the 2 of one order", n)
	}
}

// The wait lasts from the first attempt that found the order short.
func TestProcessReplacesWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.track("A", 0)
	s.track("B", 0)
	id := s.place(sale(item("A", 2, "1"), item("B", 1, "1")))[0]
	s.process(id)
	since := one[string](s, `select since::text from order_waits where sku = 'B'`)
	s.receive("A", 2)
	s.inTx(func(tx pgx.Tx) error {
		_, err := order.Process(t.Context(), tx, s.jobs, []int64{id}, pgtest.Noon.Add(60e9))
		return err
	})
	if got := rows(s, `select string_agg(concat_ws(' ', sku, needed, since), ', ') from order_waits`); got != "B 1 "+since {
		t.Errorf("waits = %s, want B only, since %s", got, since)
	}
	s.receive("B", 1)
	if got := statuses(s.process(id)); got != "processed" {
		t.Errorf("answer = %s", got)
	}
	if got := rows(s, `select string_agg(concat_ws(' ', from_status, to_status), ', ' order by id) from order_transitions`); got != "placed awaiting_stock, awaiting_stock processed" {
		t.Errorf("transitions = %s", got)
	}
	s.wantSound()
}
