package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// heartbeat keeps the row and the lock by which others see that the process lives. It runs on a
// connection of its own, which holds the lock: when the process dies, so does the connection.
type heartbeat struct {
	cfg  ProcessConfig
	pool *pgxpool.Pool
	gate *gate
	log  *slog.Logger
	reap *reaper

	conn    *pgx.Conn // holds the lock; nil with PollOnly
	stale   []int32   // backends of earlier connections that the server may still keep
	session time.Time // when the session of conn began, by the database's clock
	steady  time.Time // since when beats follow each other without a break

	begun time.Time
	last  atomic.Int64 // when the last good beat was sent, in nanoseconds after begun
	stops atomic.Bool  // the process is stopping
}

const registerSQL = `
insert /* queue.register */ into worker_processes (client_id, host, pid, version, queues, poll_only, dead_after, started_at, beat_at)
values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), clock_timestamp())`

// register takes the lock and makes the row. Nobody judges the process before both are there.
func (h *heartbeat) register(ctx context.Context) error {
	h.begun = time.Now()
	h.steady = h.begun
	host, _ := os.Hostname() // "" is as good as any
	row := []any{h.cfg.ClientID, host, os.Getpid(), h.cfg.Version, h.cfg.queueNames(), h.cfg.PollOnly, h.cfg.Liveness.DeadAfter}
	if h.cfg.PollOnly {
		if _, err := h.pool.Exec(ctx, registerSQL, row...); err != nil {
			return fmt.Errorf("register worker process %s: %w", h.cfg.ClientID, err)
		}
		return nil
	}
	if err := h.connect(ctx); err != nil {
		return fmt.Errorf("register worker process %s: %w", h.cfg.ClientID, err)
	}
	if err := h.lock(ctx, h.conn); err != nil {
		return fmt.Errorf("register worker process %s: %w", h.cfg.ClientID, err)
	}
	if _, err := h.conn.Exec(ctx, registerSQL, row...); err != nil {
		return fmt.Errorf("register worker process %s: %w", h.cfg.ClientID, err)
	}
	return nil
}

// connect opens the connection that holds the lock and notes when its session began.
func (h *heartbeat) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, h.pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	const sql = `select /* queue.connect */ backend_start from pg_stat_activity where pid = pg_backend_pid()`
	if err := conn.QueryRow(ctx, sql).Scan(&h.session); err != nil {
		_ = conn.Close(ctx)
		return err
	}
	for channel := range h.cfg.Listen {
		if _, err := conn.Exec(ctx, "listen /* queue.connect */ "+pgx.Identifier{channel}.Sanitize()); err != nil {
			_ = conn.Close(ctx)
			return err
		}
	}
	h.conn = conn
	return nil
}

const lockSQL = `select /* queue.lock */ pg_try_advisory_lock(hashtextextended('backoffice worker ' || $1, 0))`

var errLockTaken = errors.New("another session holds the lock of this process")

func (h *heartbeat) lock(ctx context.Context, db postgres.DB) error {
	var taken bool
	if err := db.QueryRow(ctx, lockSQL, h.cfg.ClientID).Scan(&taken); err != nil {
		return err
	}
	if !taken {
		return errLockTaken
	}
	return nil
}

// run beats until ctx ends, and answers nil, or until the process must end, and answers why.
func (h *heartbeat) run(ctx context.Context) error {
	defer h.disconnect()
	for beats := 1; ; beats++ {
		err := h.pause(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = h.beat(ctx)
		}
		if err != nil && ctx.Err() == nil {
			err = h.recover(ctx, err)
		}
		if err == nil && beats%probeEvery == 0 {
			err = h.probePool(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			h.gate.close()
			return err
		}
	}
}

// disconnect lets go of the lock.
func (h *heartbeat) disconnect() {
	if h.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWithin)
	defer cancel()
	_ = h.conn.Close(ctx) // the lock goes with the session however it ends
}

// pause waits for the next beat. It reads the connection meanwhile, so that its end is seen at once.
func (h *heartbeat) pause(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.reap.nextLook())
	defer cancel()
	if h.conn == nil {
		<-ctx.Done()
		return nil
	}
	for {
		told, err := h.conn.WaitForNotification(ctx)
		switch {
		case err == nil:
			if call := h.cfg.Listen[told.Channel]; call != nil {
				call()
			}
		case ctx.Err() != nil:
			return nil
		default:
			return err
		}
	}
}

const beatSQL = `
update /* queue.beat */ worker_processes
   set beat_at = clock_timestamp(),
       stopping_at = case when $2 then coalesce(stopping_at, clock_timestamp()) end
 where client_id = $1
   and declared_dead_at is null`

// beat proves that the process lives, and looks at the others by the same trip.
func (h *heartbeat) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Liveness.SelfLimit/2)
	defer cancel()
	sent := time.Since(h.begun)
	batch := &pgx.Batch{}
	var alive bool
	batch.Queue(beatSQL, h.cfg.ClientID, h.stops.Load()).Exec(func(tag pgconn.CommandTag) error {
		alive = tag.RowsAffected() == 1
		return nil
	})
	if h.age() > h.cfg.Liveness.SelfLimit {
		h.steady = time.Now() // we were frozen; so may the others have been, and beat again only now
	}
	var looked []suspect
	h.reap.queueLook(batch, h.session, time.Since(h.steady), &looked)
	var db postgres.DB = h.pool
	if h.conn != nil {
		db = h.conn
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return readOnly(err)
	}
	if !alive {
		return ErrDeclaredDead
	}
	h.last.Store(int64(sent))
	h.reap.judge(looked)
	return nil
}

// age is how long ago the last good beat was sent.
func (h *heartbeat) age() time.Duration { return time.Since(h.begun) - time.Duration(h.last.Load()) }

// probeEvery is how many beats lie between two probes of the pool.
const probeEvery = 5

// probePool finds a pool that a failover has left on a server that takes no writes, while the heartbeat's
// own connection may have gone to the new one. A pool that is merely busy proves nothing.
func (h *heartbeat) probePool(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Liveness.Beat)
	defer cancel()
	if err := h.writable(ctx); errors.Is(err, ErrReadOnly) {
		return err
	}
	return nil
}

const writableSQL = `
select /* queue.writable */ not pg_is_in_recovery() and not current_setting('transaction_read_only')::boolean`

// writable answers nil when the pool's Postgres takes writes.
func (h *heartbeat) writable(ctx context.Context) error {
	var writes bool
	if err := h.pool.QueryRow(ctx, writableSQL).Scan(&writes); err != nil {
		return fmt.Errorf("ask whether Postgres takes writes: %w", err)
	}
	if !writes {
		return ErrReadOnly
	}
	return nil
}

// readOnly recognises the error of a server that takes no writes.
func readOnly(err error) error {
	const readOnlyTransaction = "25006"
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == readOnlyTransaction {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}
