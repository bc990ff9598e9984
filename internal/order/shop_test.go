package order_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"backoffice/internal/order"
	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

// shop is a database of its own with what the tests do to it. Its transactions are not retried, so a
// deadlock fails the test.
type shop struct {
	t    testing.TB
	pool *pgxpool.Pool
	jobs interface {
		jobs.Enqueuer
		jobs.Canceller
	}
}

func newShop(t testing.TB) *shop {
	t.Helper()
	pool := pgtest.Pool(t)
	inserter, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatalf("NewInserter: %v", err)
	}
	return &shop{t: t, pool: pool, jobs: inserter}
}

func (s *shop) inTx(work func(pgx.Tx) error) {
	s.t.Helper()
	if err := pgx.BeginFunc(s.t.Context(), s.pool, work); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) place(drafts ...order.Draft) []int64 {
	s.t.Helper()
	var ids []int64
	s.inTx(func(tx pgx.Tx) error {
		orders, err := order.Place(s.t.Context(), tx, s.jobs, drafts...)
		for _, o := range orders {
			ids = append(ids, o.ID)
		}
		return err
	})
	return ids
}

func (s *shop) process(ids ...int64) []order.Answer {
	s.t.Helper()
	var answers []order.Answer
	s.inTx(func(tx pgx.Tx) error {
		var err error
		answers, err = order.Process(s.t.Context(), tx, s.jobs, ids, pgtest.Noon)
		return err
	})
	return answers
}

func (s *shop) track(sku string, onHand int) {
	s.t.Helper()
	s.inTx(func(tx pgx.Tx) error { return order.Track(s.t.Context(), tx, sku, "", onHand, pgtest.Noon) })
}

func (s *shop) receive(sku string, quantity int) (product order.Product, woken int) {
	s.t.Helper()
	s.inTx(func(tx pgx.Tx) error {
		var err error
		product, woken, err = order.Receive(s.t.Context(), tx, s.jobs, sku, quantity, pgtest.Noon)
		return err
	})
	return product, woken
}

// exec runs SQL that stands for another program.
func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// bare inserts an order by plain SQL, with lines as a list of values, and answers its id.
func (s *shop) bare(lines ...string) int64 {
	s.t.Helper()
	id := one[int64](s, `insert into orders default values returning id`)
	for i, line := range lines {
		s.exec(fmt.Sprintf(`insert into order_lines (order_id, line_no, sku, line_kind, quantity, unit_price) values (%d, %d, %s)`, id, i+1, line))
	}
	return id
}

// finishJobs gives every unfinished job its final state, as their workers would.
func (s *shop) finishJobs() {
	s.t.Helper()
	s.exec(`update river_job set state = 'completed', finalized_at = now() where finalized_at is null`)
}

// liveJobs are the orders with an unfinished job, in the order in which the jobs were inserted.
func (s *shop) liveJobs() string {
	s.t.Helper()
	return rows(s, `select string_agg(args ->> 'order_id', ' ' order by id) from river_job where finalized_at is null`)
}

// one answers a single value.
func one[T any](s *shop, sql string, args ...any) T {
	s.t.Helper()
	return oneOf[T](s.t, s.pool, sql, args...)
}

func oneOf[T any](t testing.TB, db postgres.DB, sql string, args ...any) (value T) {
	t.Helper()
	if err := db.QueryRow(context.WithoutCancel(t.Context()), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// rows answers an aggregate of text, empty for no rows.
func rows(s *shop, sql string, args ...any) string {
	s.t.Helper()
	if text := one[*string](s, sql, args...); text != nil {
		return *text
	}
	return ""
}

// waitBlocked waits until n sessions of the database wait for a lock.
func (s *shop) waitBlocked(n int) {
	s.t.Helper()
	pgtest.Eventually(s.t, fmt.Sprintf("%d sessions wait for a lock", n), func() (bool, error) {
		return one[int](s, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == n, nil
	})
}

// begin starts a transaction of another program; it is rolled back unless the test commits it.
func (s *shop) begin() pgx.Tx {
	s.t.Helper()
	tx, err := s.pool.Begin(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// execIn runs SQL in a transaction of another program.
func (s *shop) execIn(tx pgx.Tx, sql string, args ...any) {
	s.t.Helper()
	if _, err := tx.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// commit ends what begin began.
func (s *shop) commit(tx pgx.Tx) {
	s.t.Helper()
	if err := tx.Commit(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// start runs step beside the test and answers how to wait for its error.
func (s *shop) start(step func(context.Context) error) (wait func()) {
	ended := make(chan error, 1)
	go func() { ended <- step(s.t.Context()) }()
	return func() {
		s.t.Helper()
		if err := <-ended; err != nil {
			s.t.Fatal(err)
		}
	}
}

func item(sku string, quantity int, price string) order.Line {
	return order.Line{SKU: sku, Quantity: quantity, UnitPrice: decimal.RequireFromString(price)}
}

func sale(lines ...order.Line) order.Draft { return order.Draft{Kind: order.KindSale, Lines: lines} }

func credit(lines ...order.Line) order.Draft {
	return order.Draft{Kind: order.KindCredit, Lines: lines}
}

// statuses writes answers as one word each.
func statuses(answers []order.Answer) string {
	words := make([]string, len(answers))
	for i, a := range answers {
		words[i] = string(a.Status)
	}
	return strings.Join(words, " ")
}

// wantError asserts the sentinel and the whole sentence.
func wantError(t testing.TB, err, sentinel error, sentence string) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got %v, want an error that is %q", err, sentinel)
	}
	if err.Error() != sentence {
		t.Errorf("got  %s\nwant %s", err, sentence)
	}
}

// effects writes what orders did to the tables, without ids of rows: two ways to one result agree.
const effectsSQL = `
select concat_ws(E'\n',
  (select string_agg(format('order %s %s %s', id, status, reason), E'\n' order by id) from orders),
  (select string_agg(format('product %s %s', sku, on_hand), E'\n' order by sku) from products),
  (select string_agg(format('movement %s %s %s %s', order_id, sku, reason, quantity), E'\n' order by order_id, sku, reason) from stock_movements),
  (select string_agg(format('entry %s %s %s', order_id, account, amount), E'\n' order by order_id, account) from ledger_entries),
  (select string_agg(format('effect %s %s', order_id, effect), E'\n' order by order_id, effect) from order_effects),
  (select string_agg(format('wait %s %s %s', order_id, sku, needed), E'\n' order by order_id, sku) from order_waits),
  (select string_agg(format('last %s %s', order_id, to_status), E'\n' order by order_id)
     from (select distinct on (order_id) order_id, to_status from order_transitions order by order_id, id desc) t))`

// versionsSQL writes every row with the transaction that wrote it: equal texts mean that no row was
// written, not even with the same values.
const versionsSQL = `
select concat_ws(E'\n',
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from orders t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from products t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from stock_movements t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from ledger_entries t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from order_effects t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from order_waits t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from order_transitions t),
  (select string_agg(format('%s %s', t.xmin, t), E'\n' order by t::text) from river_job t))`

// wantSound asserts what the tables must say whatever happened.
func (s *shop) wantSound() {
	s.t.Helper()
	for rule, sql := range map[string]string{
		"movements of a product sum to its stock": `
			select string_agg(p.sku, ' ') from products p
			 where p.on_hand <> (select coalesce(sum(m.quantity), 0) from stock_movements m where m.sku = p.sku)`,
		"an order's ledger entries are its total and sum to zero": `
			select string_agg(o.id::text, ' ') from orders o
			 where (select coalesce(sum(e.amount), 0) from ledger_entries e where e.order_id = o.id) <> 0
			    or (select coalesce(sum(e.amount), 0) from ledger_entries e where e.order_id = o.id and e.account = 'receivable')
			    <> (select coalesce(sum(l.quantity * l.unit_price), 0) from order_lines l
			         where l.order_id = o.id and l.line_kind in ('item', 'adjustment') and o.status = 'processed')`,
		"a processed order has both effects, no other has any": `
			select string_agg(o.id::text, ' ') from orders o
			 where (select count(*) from order_effects e where e.order_id = o.id) <> case when o.status = 'processed' then 2 else 0 end`,
		"an order waits if and only if it awaits stock": `
			select string_agg(o.id::text, ' ') from orders o
			 where (o.status = 'awaiting_stock') <> exists (select from order_waits w where w.order_id = o.id)`,
		"the last transition of an order leads to its status": `
			select string_agg(o.id::text, ' ') from orders o
			 where o.status <> coalesce((select t.to_status from order_transitions t where t.order_id = o.id order by t.id desc limit 1), 'placed')`,
		"an order that could have what it waits for has a live job": `
			select string_agg(o.id::text, ' ') from orders o
			 where o.status = 'awaiting_stock'
			   and not exists (select from order_waits w join products p using (sku) where w.order_id = o.id and p.on_hand < w.needed)
			   and not exists (select from river_job j where j.args ->> 'order_id' = o.id::text and j.finalized_at is null)`,
		"what an order has taken is what its lines ask for": `
			select string_agg(o.id::text, ' ') from orders o
			  join (select l.order_id, l.sku, sum(case when l.line_kind = 'write_off' then -abs(l.quantity::bigint) else -l.quantity::bigint end) as quantity
			          from order_lines l join products p on p.sku = l.sku and p.on_hand is not null
			         where l.line_kind <> 'adjustment' group by 1, 2) asked on asked.order_id = o.id
			 where o.status = 'processed'
			   and asked.quantity <> (select coalesce(sum(m.quantity), 0) from stock_movements m where m.order_id = o.id and m.sku = asked.sku)`,
	} {
		if broken := rows(s, sql); broken != "" {
			s.t.Errorf("%s: broken by %s", rule, broken)
		}
	}
}
