package pgtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// CommitOutOfTurn runs commit, which ends with the commit of a transaction that notifies, while another such
// commit holds the turn that they take, as one does on a disk that is slow without end. When commit has waited
// for a fifth of a second the turn is let go of, and its error is answered. CommitOutOfTurn changes settings of
// the server, which must be the test's own and durable.
func CommitOutOfTurn(t testing.TB, pool *pgxpool.Pool, commit func() error) error {
	t.Helper()
	release := holdTurn(t, pool)
	committed := make(chan error, 1)
	go func() { committed <- commit() }()
	var ended error
	Eventually(t, "a commit has waited for its turn", func() (waits bool, err error) {
		select {
		case err := <-committed:
			ended = fmt.Errorf("it did not wait for its turn and answered %v", err)
			return true, nil
		default:
		}
		const sql = `select exists (select from pg_locks where locktype = 'object' and database = 0 and waitstart < clock_timestamp() - interval '200 ms')`
		err = pool.QueryRow(t.Context(), sql).Scan(&waits)
		return waits, err
	})
	release()
	if ended != nil {
		return ended
	}
	return <-committed
}

// holdTurn commits in the turn of those that notify, and waits there for a standby that there is none of.
func holdTurn(t testing.TB, pool *pgxpool.Pool) (release func()) {
	t.Helper()
	for _, sql := range []string{
		`create table told (n integer)`,
		`alter system set synchronous_commit = local`, // of all but the one that holds the turn
		`alter system set synchronous_standby_names = 'nobody'`,
		`select pg_reload_conf()`,
	} {
		if _, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("hold the turn: %s: %v", sql, err)
		}
	}
	held, ctx := make(chan error, 1), context.WithoutCancel(t.Context()) // until it is released
	hold := func() {
		held <- pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `set local synchronous_commit = on; insert into told values (1); notify told`)
			return err
		})
	}
	go hold()
	var pid int
	Eventually(t, "a commit waits for a standby", func() (bool, error) {
		select {
		case err := <-held: // the server's checkpointer had not read the settings yet
			if err != nil {
				return false, err
			}
			go hold()
		default:
		}
		const sql = `select coalesce(min(pid), 0) from pg_stat_activity where datname = current_database() and wait_event = 'SyncRep'`
		err := pool.QueryRow(t.Context(), sql).Scan(&pid)
		return pid != 0, err
	})
	release = sync.OnceFunc(func() {
		if _, err := pool.Exec(ctx, `select pg_cancel_backend($1)`, pid); err != nil {
			t.Errorf("let go of the turn: %v", err)
		}
		if err := <-held; err != nil { // its commit is in the server, which only warns that no standby has it
			t.Errorf("let go of the turn: %v", err)
		}
	})
	t.Cleanup(release) // or the pool would never close
	return release
}
