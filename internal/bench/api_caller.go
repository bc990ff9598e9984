package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"backoffice/internal/order"
)

// delivery is one order as it goes over the wire and as a plain program stores it, made beforehand: what
// is measured is not how fast orders are made up.
type delivery struct {
	key   string // for idempotency
	body  []byte // JSON
	plain plainPlacing
}

func newDeliveries(count int) []delivery {
	generated := newGenerator(generateSeed + 1)
	generated.count = latencyHistory // go on where the history ends
	orders := make([]delivery, count)
	for i := range orders {
		d := generated.draft()
		orders[i] = delivery{key: "order-" + d.Number, body: orderJSON(d), plain: newPlainPlacing(d)}
	}
	return orders
}

// orderJSON writes an order as a caller of the API does.
func orderJSON(d order.Draft) []byte {
	type line struct {
		SKU         string `json:"sku"`
		Description string `json:"description"`
		Quantity    int    `json:"quantity"`
		UnitPrice   string `json:"unit_price"`
	}
	lines := make([]line, len(d.Lines))
	for i, l := range d.Lines {
		lines[i] = line{l.SKU, l.Description, l.Quantity, l.UnitPrice.String()}
	}
	body, _ := json.Marshal(map[string]any{ // of strings and numbers: it cannot fail
		"number": d.Number, "kind": d.Kind, "customer": d.Customer, "country": d.Country, "placed_at": d.PlacedAt, "lines": lines,
	})
	return body
}

// post is one request, ready to be written.
type post struct {
	text   []byte
	orders int
}

// posts puts perRequest orders each into requests.
func posts(orders []delivery, perRequest int) []post {
	var all []post
	for len(orders) > 0 {
		some := orders[:min(perRequest, len(orders))]
		orders = orders[len(some):]
		path, body := "/api/orders", some[0].body
		if perRequest > 1 {
			path = "/api/orders/batch"
			bodies := make([][]byte, len(some))
			for i, d := range some {
				bodies[i] = d.body
			}
			body = append(append([]byte(`{"orders":[`), bytes.Join(bodies, []byte(","))...), "]}"...)
		}
		text := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
			path, apiKey, some[0].key, len(body))
		all = append(all, post{append(text, body...), len(some)})
	}
	return all
}

// runAPI has callers place all orders over HTTP, and some of them again.
func (l *Lab) runAPI(orders []delivery, perRequest, connections int) func(context.Context, *Database) (Figures, error) {
	return func(ctx context.Context, db *Database) (figures Figures, err error) {
		api, err := l.startAPI(ctx, db)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, api.stop()) }()
		callers, err := dialAll(api.address, connections)
		if err != nil {
			return nil, err
		}
		defer callers.close()
		requests := posts(orders, perRequest)
		place := func(connection, n int) error { return callers[connection].place(requests[n], false) }
		warmUp := max(apiWarmUp/perRequest, 1)
		if _, _, err := deal(0, warmUp, len(callers), place); err != nil {
			return nil, err
		}
		each, wall, err := deal(warmUp, len(requests), len(callers), place)
		if err != nil {
			return nil, err
		}
		for n := range min(apiReplays, len(requests)) {
			if err := callers[0].place(requests[n], true); err != nil {
				return nil, err
			}
		}
		return placingFigures(len(orders)-warmUp*perRequest, each, wall), checkPlaced(ctx, db, len(orders), len(requests))
	}
}

// caller is one keep-alive connection. It writes requests as they are and reads answers as net/http does,
// and takes less of the machine's time than an http.Client: that time is the API's.
type caller struct {
	conn net.Conn
	from *bufio.Reader
}

type callers []*caller

func dialAll(address string, count int) (callers, error) {
	var all callers
	for range count {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			all.close()
			return nil, fmt.Errorf("call the API: %w", err)
		}
		all = append(all, &caller{conn: conn, from: bufio.NewReader(conn)})
	}
	return all, nil
}

func (all callers) close() {
	for _, c := range all {
		_ = c.conn.Close() // nothing is on its way any more
	}
}

const answerWithin = 30 * time.Second

// place sends a request and wants it to be accepted, as the repetition of an earlier one or not.
func (c *caller) place(p post, again bool) error {
	_ = c.conn.SetDeadline(time.Now().Add(answerWithin)) // a closed connection says so below
	if _, err := c.conn.Write(p.text); err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	answer, err := http.ReadResponse(c.from, nil)
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if replayed := answer.Header.Get("Idempotency-Replayed") == "true"; answer.StatusCode != http.StatusAccepted || replayed != again {
		return fmt.Errorf("a request was answered with %s, replayed %t: %s", answer.Status, replayed, tail(string(body)))
	}
	return nil
}

// apiKey is what the callers are known by; its process knows it from the environment.
const apiKey = "bo_of-a-benchmark-that-is-thrown-away-afterwards"

// apiProcess is the program's own API on any port.
type apiProcess struct {
	program *exec.Cmd
	address string
	log     *os.File
}

// startAPI starts the API, which logs into a file, and returns when it listens.
func (l *Lab) startAPI(ctx context.Context, db *Database) (*apiProcess, error) {
	log, err := os.Create(filepath.Join(l.dir, db.Name+".log"))
	if err != nil {
		return nil, fmt.Errorf("make a log: %w", err)
	}
	p := &apiProcess{log: log}
	p.program = l.Backoffice(ctx, db, "api", "--addr", "127.0.0.1:0", "--log-format", "json")
	p.program.Env = append(p.program.Env, "BACKOFFICE_API_KEY="+apiKey)
	p.program.Stderr = log
	if err := p.program.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the API: %w", err), log.Close())
	}
	if p.address, err = p.listening(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

const startsWithin = 30 * time.Second

// listening answers where the API listens, once its log says so.
func (p *apiProcess) listening(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	for {
		text, err := os.ReadFile(p.log.Name())
		if err != nil {
			return "", fmt.Errorf("read the API's log: %w", err)
		}
		for line := range bytes.Lines(text) {
			var started struct{ Msg, Address string }
			if json.Unmarshal(line, &started) == nil && started.Msg == "api started" {
				return started.Address, nil
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-limited.Done():
			return "", fmt.Errorf("the API did not start: %s", tail(string(text)))
		}
	}
}

// stop asks the API to stop and waits for its end.
func (p *apiProcess) stop() error {
	defer p.log.Close() //nolint:errcheck // the program writes it, not we
	_ = p.program.Process.Signal(syscall.SIGTERM)
	if err := p.program.Wait(); err != nil {
		text, _ := os.ReadFile(p.log.Name()) // what can be had
		return fmt.Errorf("API: %w: %s", err, tail(string(text)))
	}
	return nil
}
