package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const retryEvery = 100 * time.Millisecond

// recover stops fetching and tries, until the self-limit, to prove again that the process lives. It goes
// on only once it holds the lock and has seen that nobody declared it dead.
func (h *heartbeat) recover(ctx context.Context, cause error) error {
	if errors.Is(cause, ErrDeclaredDead) || errors.Is(cause, ErrReadOnly) {
		return cause
	}
	h.gate.close()
	h.log.WarnContext(ctx, "heartbeat lost", "client_id", h.cfg.ClientID, "error", cause)
	for {
		if h.age() > h.cfg.Liveness.SelfLimit {
			return fmt.Errorf("%w for %s: %w", ErrLifeUnproven, h.cfg.Liveness.SelfLimit, cause)
		}
		err := h.reclaim(ctx)
		switch {
		case err == nil:
			h.gate.open()
			h.log.InfoContext(ctx, "heartbeat regained", "client_id", h.cfg.ClientID)
			return nil
		case ctx.Err() != nil, errors.Is(err, ErrDeclaredDead), errors.Is(err, ErrReadOnly):
			return err
		}
		cause = err
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

const declaredDeadSQL = `
select /* queue.declaredDead */ declared_dead_at is not null
  from worker_processes
 where client_id = $1`

// lastWordWithin is long enough for a server that all connections of a woken process come back to at once.
const lastWordWithin = 3 * time.Second

// declaredDead asks on a connection of its own: jobs may be waiting for those of the pool.
func (h *heartbeat) declaredDead(ctx context.Context) (dead bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lastWordWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, h.pool.Config().ConnConfig.Copy())
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, declaredDeadSQL, h.cfg.ClientID).Scan(&dead)
	return dead, err
}

const ownRowSQL = `
select /* queue.reclaim */ declared_dead_at is null
  from worker_processes
 where client_id = $1
   for update`

// reclaim takes the lock with a new connection and beats, in one transaction that holds the process's
// row: a reaper that is about to declare it dead comes before or after, never in between.
func (h *heartbeat) reclaim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(h.cfg.Liveness.SelfLimit-h.age(), retryEvery))
	defer cancel()
	sent := time.Since(h.begun)
	if h.cfg.PollOnly {
		h.steady = time.Now()
		return h.beat(ctx)
	}
	if err := h.reconnect(ctx); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, h.conn, func(tx pgx.Tx) error {
		var alive bool
		err := tx.QueryRow(ctx, ownRowSQL, h.cfg.ClientID).Scan(&alive)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !alive {
			return ErrDeclaredDead
		}
		if err != nil {
			return err
		}
		if err := h.lock(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, beatSQL, h.cfg.ClientID, h.stops.Load())
		return err
	})
	if err != nil {
		return readOnly(err)
	}
	h.last.Store(int64(sent))
	h.steady = time.Now()
	return nil
}

// reconnect replaces the connection and ends what the server may still keep of the old one, such as the
// lock, when the network lost it.
func (h *heartbeat) reconnect(ctx context.Context) error {
	h.stale = append(h.stale, int32(h.conn.PgConn().PID()))
	_ = h.conn.Close(ctx) // it is broken
	if err := h.connect(ctx); err != nil {
		return err
	}
	const sql = `select /* queue.reconnect */ pg_terminate_backend(pid) from pg_stat_activity where pid = any($1) and application_name = $2 and pid <> pg_backend_pid()`
	if _, err := h.conn.Exec(ctx, sql, h.stale, h.cfg.ClientID); err != nil {
		return err
	}
	h.stale = nil
	return nil
}
