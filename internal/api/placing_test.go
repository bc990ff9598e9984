package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

// crowd is a shop whose committers are held up, so that what is posted next waits and then goes together.
type crowd struct {
	*shop
	handler *api.API
	held    []*pgxpool.Conn
	posting sync.WaitGroup
	mu      sync.Mutex
	answers map[string]answer
}

const committers = 2

// newCrowd takes the connections that the committers need, and gives each an order.
func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{shop: newShop(t), answers: map[string]answer{}}
	narrow := c.narrow(committers)
	c.handler = c.api(func(cfg *api.Config) { cfg.Pool = narrow })
	c.serve(c.handler)
	for range committers {
		conn, err := narrow.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.held = append(c.held, conn)
	}
	for n := range committers {
		c.send(fmt.Sprintf("FIRST-%d", n))
		pgtest.Eventually(t, "a committer has it", func() (bool, error) {
			committing, waiting := c.handler.Placing()
			return committing == n+1 && waiting == 0, nil
		})
	}
	return c
}

// store begins to store orders of these numbers.
func (c *crowd) store(numbers ...string) pgx.Tx {
	c.t.Helper()
	tx, err := c.pool.Begin(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	for _, number := range numbers {
		if _, err := tx.Exec(c.t.Context(), `insert into orders (number) values ($1)`, number); err != nil {
			c.t.Fatal(err)
		}
	}
	return tx
}

func numbered(number string) string {
	return fmt.Sprintf(`{"number":%q,"lines":[{"sku":"TIN","quantity":2,"unit_price":"3.2"}]}`, number)
}

// send posts an order and goes on; its answer is filed under the number and the headers' values.
func (c *crowd) send(number string, headers ...string) {
	c.posting.Go(func() {
		got, err := c.try(http.MethodPost, "/api/orders", numbered(number), headers...)
		if err != nil {
			c.t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for c.answers[number].status != 0 {
			number += "'"
		}
		c.answers[number] = got
	})
}

// gather sends an order and returns when it waits.
func (c *crowd) gather(number string, headers ...string) {
	c.t.Helper()
	before := c.waiting()
	c.send(number, headers...)
	pgtest.Eventually(c.t, number+" waits", func() (bool, error) { return c.waiting() == before+1, nil })
}

func (c *crowd) waiting() int {
	_, waiting := c.handler.Placing()
	return waiting
}

// release lets the committers go on and waits for all answers.
func (c *crowd) release() {
	for _, conn := range c.held {
		conn.Release()
	}
	c.posting.Wait()
}

func (c *crowd) wantStatus(number string, status int) {
	c.t.Helper()
	if got := c.answers[number]; got.status != status {
		c.t.Errorf("%s was answered %d, want %d: %s", number, got.status, status, got.body)
	}
}

// wantSound checks that every order stands there once with one job.
func (c *crowd) wantSound(orders int) {
	c.t.Helper()
	want := fmt.Sprintf("%d orders, %[1]d jobs of %[1]d orders", orders)
	if got := one[string](c.shop, `select (select count(*) from orders) || ' orders, ' || count(*) || ' jobs of ' || count(distinct args ->> 'order_id') || ' orders' from river_job`); got != want {
		c.t.Errorf("stored %s, want %s", got, want)
	}
}

func TestOrdersThatArriveTogetherShareATransaction(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	for n := range 10 {
		c.gather(fmt.Sprintf("N-%d", n), "Idempotency-Key", fmt.Sprintf("key-%d", n))
	}
	c.release()
	c.wantSound(12)
	if n := one[int](c.shop, `select count(distinct written) from (
		select xmin::text from orders where number like 'N-%' union all
		select xmin::text from idempotency_keys union all
		select j.xmin::text from river_job j join orders o on o.id = (j.args ->> 'order_id')::bigint where o.number like 'N-%') as t(written)`); n != 1 {
		t.Errorf("orders, jobs and answers were stored in %d transactions, want 1", n)
	}
	for n := range 10 {
		number := fmt.Sprintf("N-%d", n)
		c.wantStatus(number, http.StatusAccepted)
		if !strings.Contains(c.answers[number].body, `"number":"`+number+`"`) {
			t.Errorf("%s was answered %s", number, c.answers[number].body)
		}
		again := c.post("/api/orders", numbered(number), "Idempotency-Key", fmt.Sprintf("key-%d", n))
		if again.header.Get("Idempotency-Replayed") != "true" || again.body != c.answers[number].body {
			t.Errorf("%s repeated: %+v, first %+v", number, again, c.answers[number])
		}
	}
}

func TestRefusedOrderCostsItsCompanyNothing(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.exec(`insert into orders (number) values ('TAKEN')`)
	for _, number := range []string{"A", "TAKEN", "B", "C"} {
		c.gather(number, "Idempotency-Key", number)
	}
	c.refused(c.post("/api/orders", `{"lines":[{"sku":"A","quantity":0,"unit_price":"1"}]}`), 422, "body.lines[0].quantity") // at once
	c.release()
	for _, number := range []string{"A", "B", "C"} {
		c.wantStatus(number, http.StatusAccepted)
	}
	c.refused(c.answers["TAKEN"], http.StatusConflict, "body.number", "is taken; choose another")
	c.exec(`alter table orders disable trigger user`) // which would not let an order without lines go
	c.exec(`delete from orders where number = 'TAKEN'`)
	c.wantSound(5)
}

// A trigger of the shop's own may speak up only in the commit.
func TestOrderRefusedInTheCommitCostsItsCompanyNothing(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.exec(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$`)
	c.exec(`create constraint trigger refuse after insert on orders deferrable initially deferred for each row when (new.number = 'LATE') execute function refuse()`)
	for _, number := range []string{"A", "LATE", "B"} {
		c.gather(number)
	}
	c.release()
	c.wantStatus("A", http.StatusAccepted)
	c.wantStatus("B", http.StatusAccepted)
	c.refused(c.answers["LATE"], http.StatusInternalServerError, "", "the log tells more")
	c.wantSound(4)
}

func TestTwinsOfOneCrowdPlaceOneOrder(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.gather("TWIN", "Idempotency-Key", "same")
	c.gather("TWIN", "Idempotency-Key", "same")
	c.gather("OTHER", "Idempotency-Key", "other")
	c.release()
	c.wantSound(4)
	c.wantStatus("OTHER", http.StatusAccepted)
	if n := one[int](c.shop, `select count(distinct xmin::text) from orders where number in ('TWIN', 'OTHER')`); n != 1 {
		t.Errorf("the twin that is turned away has cost the others their transaction")
	}
	placed, turnedAway := c.answers["TWIN"], c.answers["TWIN'"]
	if placed.status != http.StatusAccepted {
		placed, turnedAway = turnedAway, placed
	}
	if placed.status != http.StatusAccepted || turnedAway.header.Get("Retry-After") == "" {
		t.Errorf("the twins were answered %+v and %+v", placed, turnedAway)
	}
	c.refused(turnedAway, http.StatusConflict, "header.Idempotency-Key", "at work at this moment")
}

func TestOrderThatMustWaitHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	slow := c.store("SLOW")
	for _, number := range []string{"A", "SLOW", "B"} {
		c.gather(number)
	}
	c.release()
	c.wantStatus("A", http.StatusAccepted)
	c.wantStatus("B", http.StatusAccepted)
	c.refused(c.answers["SLOW"], http.StatusServiceUnavailable, "", "others hold for long")
	if err := slow.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wantSound(4)
}

func TestOrdersThatMustWaitLeaveTheCommittersToOthers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := &crowd{shop: s, answers: map[string]answer{}}
	numbers := []string{"SLOW-0", "SLOW-1"}
	c.store(numbers...)
	for n, number := range numbers { // one to each committer
		c.send(number)
		pgtest.Eventually(t, number+" waits for the lock", func() (bool, error) {
			return one[int](s, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == n+1, nil
		})
	}
	s.place(numbered("QUICK"))
	c.mu.Lock()
	if len(c.answers) > 0 {
		t.Errorf("the order that need not wait was placed after %d that must", len(c.answers))
	}
	c.mu.Unlock()
	c.posting.Wait()
	for _, number := range numbers {
		c.refused(c.answers[number], http.StatusServiceUnavailable, "", "others hold for long")
	}
}

func TestOrderWhoseCallersAllLeftIsNotPlaced(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	ctx, leave := context.WithCancel(t.Context())
	var leaving sync.WaitGroup
	for n := range 3 {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/api/orders", strings.NewReader(numbered(fmt.Sprintf("GONE-%d", n))))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		leaving.Go(func() {
			if response, err := http.DefaultClient.Do(request); err == nil {
				response.Body.Close()
				t.Errorf("a caller that left was answered %s", response.Status)
			}
		})
	}
	pgtest.Eventually(t, "three wait", func() (bool, error) { return c.waiting() == 3, nil })
	leave()
	leaving.Wait()
	pgtest.Eventually(t, "the API knows", func() (bool, error) { return strings.Count(c.log.String(), `"status":499`) == 3, nil })
	c.release()
	c.place(numbered("NEXT"))
	c.wantSound(3)
}

func TestPanicOfACommitterIsAnswered(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(cfg *api.Config) { cfg.Jobs = nil })
	for range 5 { // more than there are committers
		s.refused(s.post("/api/orders", sale), http.StatusInternalServerError, "", "the log tells more")
	}
	if n := one[int](s, `select count(*) from orders`); n != 0 {
		t.Errorf("%d orders are stored without a job", n)
	}
}
