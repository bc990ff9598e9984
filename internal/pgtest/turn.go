package pgtest

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// HoldTurn takes the turn that the commits of transactions that notify wait for, as a commit does on a disk
// that is slow without end, and keeps it until release is called. It changes settings of the server, which
// must be the test's own and durable, and leaves a table named told.
func HoldTurn(t testing.TB, pool *pgxpool.Pool) (release func()) {
	t.Helper()
	for _, sql := range []string{
		`create table if not exists told (n integer)`,
		`alter system set synchronous_commit = local`, // of all but the one that holds the turn
		`alter system set synchronous_standby_names = 'nobody'`,
		`select pg_reload_conf()`,
	} {
		if _, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("hold the turn: %s: %v", sql, err)
		}
	}
	held, ctx := make(chan error, 1), context.WithoutCancel(t.Context()) // until it is released
	commit := func() {
		held <- pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `set local synchronous_commit = on; insert into told values (1); notify told`)
			return err
		})
	}
	go commit()
	const waitsSQL = `select coalesce(min(pid), 0) from pg_stat_activity where datname = current_database() and wait_event = 'SyncRep'`
	var pid int
	Eventually(t, "a commit waits for a standby", func() (bool, error) {
		select {
		case err := <-held: // the server's checkpointer had not read the settings yet
			if err != nil {
				return false, err
			}
			go commit()
		default:
		}
		err := pool.QueryRow(t.Context(), waitsSQL).Scan(&pid)
		return pid != 0, err
	})
	release = sync.OnceFunc(func() {
		if _, err := pool.Exec(ctx, `select pg_cancel_backend($1)`, pid); err != nil {
			t.Errorf("let go of the turn: %v", err)
		}
		if err := <-held; err != nil { // its commit is in the server, and only warns that no standby has it
			t.Errorf("let go of the turn: %v", err)
		}
	})
	t.Cleanup(release)
	return release
}

// AwaitTurn waits until a commit waits for the turn that HoldTurn keeps.
func AwaitTurn(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	Eventually(t, "a commit waits for its turn", func() (waits bool, err error) {
		const sql = `select exists (select from pg_locks where locktype = 'object' and database = 0 and not granted)`
		err = pool.QueryRow(t.Context(), sql).Scan(&waits)
		return waits, err
	})
}
