package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/postgres"
)

// A commit that announces something holds the queue of announcements until it is on disk. Here it waits for
// a standby that there is none of, which is a disk as slow as can be.
func TestCommitThatNotifiesTakesItsTurnWhateverTheLockTimeout(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t), Durable: true}).URL(postgres.Database)
	pool := open(t, url, postgres.Options{})
	execSQL(t, url, "create table told (n int)")
	execSQL(t, url, "alter system set synchronous_standby_names = 'nobody'")
	execSQL(t, url, "select pg_reload_conf()")
	holds := func(sql string) func() bool {
		return func() (yes bool) {
			if err := pool.QueryRow(t.Context(), sql).Scan(&yes); err != nil {
				t.Error(err)
			}
			return yes
		}
	}
	await(t, "the server wants a standby", holds("select current_setting('synchronous_standby_names') = 'nobody'"))
	notify := func(begin string) <-chan error {
		done := make(chan error, 1)
		go func() {
			done <- postgres.InTxBegunBy(t.Context(), pool, begin, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "insert into told values (1); notify told")
				return err
			})
		}()
		return done
	}
	slow := notify("begin; set local synchronous_commit = on")
	await(t, "a commit waits for the standby", holds("select exists (select from pg_stat_activity where wait_event = 'SyncRep')"))
	const limit = 50 * time.Millisecond
	next := notify("begin; set local synchronous_commit = local; set local lock_timeout = '50ms'")
	await(t, "the next waits for its turn", holds("select exists (select from pg_locks where not granted and locktype = 'object')"))
	select {
	case err := <-next:
		t.Fatalf("the next commit did not wait: %v", err)
	case <-time.After(4 * limit):
	}
	execSQL(t, url, `select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`)
	for name, done := range map[string]<-chan error{"slow": slow, "next": next} {
		if err := <-done; err != nil {
			t.Errorf("the %s commit: %v", name, err)
		}
	}
}

// What is put off until the commit is part of the work: it must not wait for a lock for longer.
func TestDeferredConstraintsKeepTheLockTimeout(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t)}).URL(postgres.Database)
	execSQL(t, url, `
create table guarded (id int);
create table held (id int);
create function look() returns trigger language plpgsql as $$ begin lock table held; return new; end $$;
create constraint trigger look after insert on guarded deferrable initially deferred for each row execute function look()`)
	pool := open(t, url, postgres.Options{})
	holder, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(t.Context())
	if _, err := holder.Exec(t.Context(), "lock table held"); err != nil {
		t.Fatal(err)
	}
	err = postgres.InTxBegunBy(t.Context(), pool, "begin; set local lock_timeout = '50ms'", func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "insert into guarded values (1)")
		return err
	})
	if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.Code != "55P03" {
		t.Errorf("the commit answers %v, want lock_not_available", err)
	}
}
