package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// patient lets requests wait for a connection of the pool for as long as a busy machine takes.
const patient = "BACKOFFICE_REQUEST_TIMEOUT=2m"

func TestKilledAPILosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const requests, keys = 1000, 100
	c := &callers{shop: newShop(t), replies: map[string][]string{}, answered: make(chan struct{}, requests), restarted: make(chan struct{})}
	c.api = c.startAPI("127.0.0.1:0", patient)
	var sending sync.WaitGroup
	for n := range requests {
		sending.Go(func() { c.place(n % keys) })
	}
	for range 3 { // in the midst of the first answers, not of those given again
		for range 20 {
			select {
			case <-c.answered:
			case <-t.Context().Done():
				t.Fatal("the API stopped answering")
			}
		}
		c.killAndRestart()
	}
	sending.Wait()
	if t.Failed() {
		return
	}
	t.Logf("3 kills left requests unanswered %d times, %d orders were stored but not told; %d answers were 409", c.unanswered, c.lost, c.inFlight)
	if c.unanswered == 0 {
		t.Error("nothing was at work when the API was killed")
	}
	for key, replies := range c.replies {
		if len(replies) != 1 {
			t.Errorf("%s was answered in %d ways: %q", key, len(replies), replies)
		}
	}
	for what, sql := range map[string]string{
		"orders":           `select count(*) from orders`,
		"jobs":             `select count(*) from river_job`,
		"orders with jobs": `select count(distinct o.id) from orders o join river_job j on j.kind = 'process_order' and j.args ->> 'order_id' = o.id::text`,
		"kept answers":     `select count(*) from idempotency_keys`,
	} {
		if n := c.number(sql); n != keys {
			t.Errorf("%d %s, want %d", n, what, keys)
		}
	}
	c.text("worker", "--once")
	c.conserves()
	if n := c.number(`select count(*) from orders where status = 'processed'`); n != keys {
		t.Errorf("%d orders are processed, want %d", n, keys)
	}
}

// callers place orders until they are answered, whatever becomes of the API meanwhile.
type callers struct {
	shop
	answered chan struct{} // holds one for each key that was answered for the first time

	mu        sync.Mutex
	api       apiProcess
	restarted chan struct{}       // closed once another process follows api
	replies   map[string][]string // by key: the different answers

	unanswered, inFlight int
	lost                 int // answers to orders that were stored when the API was killed
}

// current is the process to call, and what is closed once there is another.
func (c *callers) current() (apiProcess, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.api, c.restarted
}

func (c *callers) killAndRestart() {
	c.t.Helper()
	killed, _ := c.current()
	if err := killed.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	c.mu.Lock()
	c.lost += c.number(`select count(*) from orders`) - len(c.replies)
	c.mu.Unlock()
	next := c.startAPI("127.0.0.1:0", patient)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.restarted)
	c.api, c.restarted = next, make(chan struct{})
}

// place sends one request until it is answered: again after a 409, and to the next process after none.
func (c *callers) place(n int) {
	key := fmt.Sprint("key-", n)
	body := fmt.Sprintf(`{"customer":"C-%d","lines":[{"sku":"TIN","quantity":1,"unit_price":"3.2"}]}`, n)
	for {
		api, restarted := c.current()
		status, text, err := api.send(http.MethodPost, "/api/orders", body, "Idempotency-Key", key)
		switch {
		case err != nil:
			c.count(&c.unanswered)
			select {
			case <-restarted:
			case <-c.t.Context().Done():
				return
			}
		case status == http.StatusAccepted:
			c.remember(key, text)
			return
		case status == http.StatusConflict && strings.Contains(text, "idempotency-key-in-flight"):
			c.count(&c.inFlight)
		default:
			c.t.Errorf("status = %d: %s", status, text)
			return
		}
	}
}

func (c *callers) count(what *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*what++
}

func (c *callers) remember(key, reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.replies[key]) == 0 {
		c.answered <- struct{}{}
	}
	if !slices.Contains(c.replies[key], reply) {
		c.replies[key] = append(c.replies[key], reply)
	}
}
