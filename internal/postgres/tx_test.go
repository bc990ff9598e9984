package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

const beginHasty = "begin; set local lock_timeout = '50ms'"

func TestCommitTakesItsTurnWhateverTheLockTimeout(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t), Durable: true}).URL(postgres.Database)
	pool := open(t, url, postgres.Options{})
	err := pgtest.CommitOutOfTurn(t, pool, func() error {
		return postgres.InTxBegunBy(t.Context(), pool, beginHasty, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "notify told")
			return err
		})
	})
	if err != nil {
		t.Errorf("the commit: %v", err)
	}
}

// What is put off until the commit is part of the work: it must not wait for a lock for longer, and what it
// meets is met by the work.
func TestDeferredConstraintsArePartOfTheWork(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t)}).URL(postgres.Database)
	execSQL(t, url, `
create table held (id int);
create table waits (id int);
create table fails (id int);
create function lock_held() returns trigger language plpgsql as $$ begin lock table held; return new; end $$;
create function fail() returns trigger language plpgsql as $$ begin raise exception 'again' using errcode = '40001'; end $$;
create constraint trigger look after insert on waits deferrable initially deferred for each row execute function lock_held();
create constraint trigger fail after insert on fails deferrable initially deferred for each row execute function fail()`)
	pool := open(t, url, postgres.Options{})
	holder, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(t.Context())
	if _, err := holder.Exec(t.Context(), "lock table held"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		rule, sql, code string
		runs            int
	}{
		{"they keep the lock timeout", "insert into waits values (1)", "55P03", 1},
		{"one that gives way to another transaction runs work again", "insert into fails values (1)", "40001", 5},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // without the rule it waits for the holder
			defer cancel()
			runs := 0
			err := postgres.InTxBegunBy(ctx, pool, beginHasty, func(tx pgx.Tx) error {
				runs++
				_, err := tx.Exec(ctx, tc.sql)
				return err
			})
			if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.Code != tc.code {
				t.Errorf("the commit answers %v, want %s", err, tc.code)
			}
			if runs != tc.runs {
				t.Errorf("work ran %d times, want %d", runs, tc.runs)
			}
		})
	}
}

func TestWorkThatHidesARefusalCommitsNothing(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t)}).URL(postgres.Database)
	execSQL(t, url, "create table notes (n int)")
	pool := open(t, url, postgres.Options{})
	err := postgres.InTxBegunBy(t.Context(), pool, beginHasty, func(tx pgx.Tx) error {
		_, _ = tx.Exec(t.Context(), "insert into notes values (1)")
		_, _ = tx.Exec(t.Context(), "select 1 / 0")
		return nil
	})
	if err == nil {
		t.Error("the commit answers nothing of it")
	}
	if n := queryInt(t, url, "select count(*) from notes"); n != 0 {
		t.Errorf("%d notes are stored", n)
	}
}
