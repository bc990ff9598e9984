package periodic_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

// errCut is what a client meets whose connection was cut.
var errCut = errors.New("the connection was cut by the test")

// cutter cuts connections at the message of a number, counted over all that are sent: before it reaches the
// server or, with answered, when the server has carried it out and its answer is on the way.
type cutter struct {
	at       int64
	answered bool

	sent atomic.Int64
	once sync.Once
	met  chan struct{} // closed when the cut has come
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, cutter: c}, nil
}

func (c *cutter) cut(conn net.Conn) error {
	c.once.Do(func() { close(c.met) })
	_ = conn.Close()
	return errCut
}

// wasMet says whether the dispatcher came as far as the cut.
func (c *cutter) wasMet() bool {
	select {
	case <-c.met:
		return true
	default:
		return false
	}
}

type cutConn struct {
	net.Conn
	cutter *cutter
	doomed atomic.Bool
}

func (c *cutConn) Write(data []byte) (int, error) {
	if c.cutter.sent.Add(1) == c.cutter.at {
		if !c.cutter.answered {
			return 0, c.cutter.cut(c.Conn)
		}
		c.doomed.Store(true)
	}
	return c.Conn.Write(data)
}

func (c *cutConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if c.doomed.Load() {
		return 0, c.cutter.cut(c.Conn)
	}
	return n, err
}

// cutPool is a pool of its own for one dispatcher, whose connections are cut.
func cutPool(t *testing.T, c *cutter) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DialFunc = c.dial
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// mostMessages is more than a dispatcher sends from its first connection to the end of a dispatch.
const mostMessages = 200

// The connection of a dispatcher is cut at every message that it sends while it dispatches a tick, before the
// server has it and after, while two others compete: no tick is lost, none runs twice.
func TestConnectionCutAtEveryMessageLosesNoTickAndDoublesNone(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered %t", answered), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			now := pgtest.Noon
			sync1(t, pool, now, periodic.Entry{Name: "tick", Args: tickArgs{}, Spec: "every 1m", CatchUp: periodic.CatchUpAll})
			ticks, cuts := 0, 0
			for met := true; met; {
				cuts++
				for _, racing := range []bool{true, false} { // the others begin together with the victim, or after its end
					now, ticks = now.Add(time.Minute), ticks+1
					c := &cutter{at: int64(cuts), answered: answered, met: make(chan struct{})}
					dispatchCut(t, pool, c, now, racing, ticks)
					met = c.wasMet()
				}
				if cuts > mostMessages {
					t.Fatal("a dispatch does not end")
				}
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where outcome = 'enqueued'`); n != ticks {
				t.Errorf("%d ticks in the ledger, want %d: %v", n, ticks, ledger(t, pool))
			}
			if n := numbers(t, pool, `select count(*) from schedules where last_error is not null`); n != 0 {
				t.Error("the schedule was taken for broken")
			}
			wantJobs(t, pool)
			wantNext(t, pool, "tick", now.Add(time.Minute))
			if cuts < 15 {
				t.Errorf("only %d cuts: a dispatch has more messages", cuts)
			}
			t.Logf("%d messages", cuts-1)
		})
	}
}

// dispatchCut dispatches what is due at an instant by three dispatchers, of which one is cut off. When it is
// over, the ledger holds so many ticks.
func dispatchCut(t *testing.T, pool *pgxpool.Pool, c *cutter, now time.Time, racing bool, ticks int) {
	t.Helper()
	var dispatching sync.WaitGroup
	rivals := func() {
		for range 2 {
			dispatching.Go(func() {
				if _, err := newDispatcher(t, pool, now).Dispatch(t.Context()); err != nil {
					t.Errorf("a rival: %v", err)
				}
			})
		}
	}
	if racing {
		rivals()
	}
	victims := cutPool(t, c)
	_, err := newDispatcher(t, victims, now).Dispatch(t.Context())
	if c.wasMet() && err == nil && !racing {
		t.Errorf("message %d was cut off, and nobody noticed", c.at)
	}
	if !racing {
		rivals()
	}
	dispatching.Wait()
	victims.Close()
	// It comes back. The server may still hold the row for the connection that was cut.
	pgtest.Eventually(t, "the tick is settled", func() (bool, error) {
		_, err := newDispatcher(t, pool, now).Dispatch(t.Context())
		return numbers(t, pool, `select count(*) from schedule_runs`) >= ticks, err
	})
}
