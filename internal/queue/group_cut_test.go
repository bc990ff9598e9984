package queue_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

// cutter breaks a connection around a commit, once it is armed.
type cutter struct {
	armed   atomic.Bool
	arrives bool   // the server carries the commit out and only its answer gets lost
	noticed func() // waits until the server has given up what it held for a broken connection
}

// pool answers a pool whose connections the cutter may break.
func (c *cutter) pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &cutConn{Conn: conn, cutter: c}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	observer := pgtest.Pool(t)
	c.noticed = func() {
		pgtest.Eventually(t, "the server has noticed", func() (gone bool, err error) {
			err = observer.QueryRow(t.Context(), `select not exists (select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%')`).Scan(&gone)
			return gone, err
		})
	}
	return pool
}

type cutConn struct {
	net.Conn
	cutter *cutter
	cut    atomic.Bool
}

func (c *cutConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("commit")) && c.cutter.armed.CompareAndSwap(true, false) {
		if !c.cutter.arrives {
			_ = c.Close()
			c.cutter.noticed() // else its rows are locked when the work is tried again, and that goes in other parts
			return 0, io.ErrClosedPipe
		}
		c.cut.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.cut.Load() { // what came is the answer to the commit
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func TestGroupWhoseConnectionBreaksEndsEachJobOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		jobs         int
		transactions int // with work to do
		cut          *cutter
		harm         func(ctx context.Context, c *crowd, tx pgx.Tx) error // in the midst of the work
	}{
		{"in the work", 20, 3, &cutter{}, func(ctx context.Context, c *crowd, tx pgx.Tx) error {
			_, err := c.pool.Exec(ctx, `select pg_terminate_backend($1, 10000)`, tx.Conn().PgConn().PID())
			return err
		}},
		{"before the commit arrives", 20, 3, &cutter{}, nil},
		{"after the commit has arrived", 20, 1, &cutter{arrives: true}, nil},
		{"before the commit of one job arrives", 1, 2, &cutter{}, nil},
		{"after the commit of one job has arrived", 1, 1, &cutter{arrives: true}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startCrowd(t, crowdConfig{pool: tc.cut.pool(t)})
			var once sync.Once
			c.work = func(ctx context.Context, tx pgx.Tx, job *river.Job[probeArgs]) (verdict queue.Verdict, err error) {
				if job.Args.N == 0 {
					once.Do(func() {
						if tc.harm != nil {
							err = tc.harm(ctx, c, tx)
							return
						}
						tc.cut.armed.Store(true)
					})
				}
				if err != nil {
					return queue.Verdict{}, err
				}
				return completed(ctx, tx, job)
			}
			ids, release := c.gather(t, probes(tc.jobs)...)
			release()
			c.unharmed(t, ids...)
			pgtest.Eventually(t, "every attempt, and the plug's, counts as completed", func() (bool, error) {
				return c.config.Tally.Completed.Load() == int64(len(ids)+1), nil
			})
			if n := c.config.Tally.Failed.Load(); n != 0 {
				t.Errorf("%d attempts counted as failed", n)
			}
			if n := len(c.tried()); n != tc.transactions {
				t.Errorf("%d transactions did work, want %d", n, tc.transactions)
			}
			if tc.cut.armed.Load() {
				t.Error("no commit was cut")
			}
		})
	}
}
