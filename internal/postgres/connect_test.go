package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

func TestConnectErrorIsOneSentenceWithoutThePassword(t *testing.T) {
	t.Parallel()
	s := startOnFreePort(t, madeDir(t))
	port := portOf(t, s)
	for _, tc := range []struct {
		rule, url string
		want      []string
	}{
		{"no server there", "postgres://u:sec%25ret@127.0.0.1:1/shop", []string{`"shop"`, "127.0.0.1:1", "connection refused", "DATABASE_URL"}},
		{"no such socket", "postgres://u:sec%25ret@/shop?host=/nowhere", []string{`"shop"`, "/nowhere/.s.PGSQL.5432", "no such socket"}},
		{"wrong password", "postgres://backoffice:sec%25ret@127.0.0.1:" + port + "/backoffice",
			[]string{`"backoffice"`, port, "password authentication", "check user and password"}},
		{"no such database", s.TCPURL("shop"), []string{`"shop"`, port, "does not exist", "createdb shop"}},
		{"unknown host", "postgres://u:sec%25ret@nowhere.invalid/shop", []string{"nowhere.invalid", "DATABASE_URL"}},
		{"a percent sign in the password", "postgres://u:sec%ret@127.0.0.1/shop", []string{"%25"}},
		{"a number that is no port", "postgres://u:sec%25ret@127.0.0.1:port/shop", []string{"postgres://user:password@host:5432/database"}},
		{"no URL at all", "sec%ret", []string{"postgres://user:password@host:5432/database"}},
		{"a wrong option", "postgres://u:sec%25ret@127.0.0.1/shop?sslmode=maybe", []string{"sslmode"}},
		{"a wrong pool size", "postgres://u:sec%25ret@127.0.0.1/shop?pool_max_conns=many", []string{"pool_max_conns"}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			pool, err := postgres.Connect(t.Context(), tc.url, postgres.Options{})
			if err == nil {
				pool.Close()
				t.Fatal("connected")
			}
			for _, secret := range []string{"sec%ret", "sec%25ret", "%re", s.TCPURL("")[len("postgres://backoffice:"):][:20]} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q shows the password", err)
				}
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
		})
	}
}

// A server that accepts and never answers, as behind a broken proxy.
func TestConnectGivesUp(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, err = postgres.Connect(t.Context(), "postgres://u:p@"+mute.Addr().String()+"/shop?connect_timeout=1", postgres.Options{})
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("connect: %v", err)
	}
}

func TestPoolOptions(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t)}).URL(postgres.Database)
	for _, tc := range []struct {
		rule, url string
		opts      postgres.Options
		want      int32
	}{
		{"eight connections by default", url, postgres.Options{}, 8},
		{"the URL may say otherwise", url + "&pool_max_conns=3", postgres.Options{}, 3},
		{"the option has the last word", url + "&pool_max_conns=3", postgres.Options{MaxConns: 5}, 5},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if got := open(t, tc.url, tc.opts).Config().MaxConns; got != tc.want {
				t.Errorf("MaxConns = %d, want %d", got, tc.want)
			}
		})
	}
	t.Run("the session is in UTC and ISO, whatever the database's defaults, and named", func(t *testing.T) {
		execSQL(t, url, "alter database backoffice set timezone = 'Asia/Tokyo'")
		execSQL(t, url, "alter database backoffice set datestyle = 'German, DMY'")
		pool := open(t, url, postgres.Options{ApplicationName: "worker"})
		var zone, style, name string
		err := pool.QueryRow(t.Context(), "select current_setting('timezone'), current_setting('datestyle'), current_setting('application_name')").Scan(&zone, &style, &name)
		if err != nil || zone != "UTC" || style != "ISO, MDY" || name != "worker" {
			t.Errorf("timezone %q, datestyle %q, application_name %q, %v; want UTC, ISO and worker", zone, style, name, err)
		}
	})
}

func TestInTx(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t)}).URL(postgres.Database)
	execSQL(t, url, "create table notes (text text)")
	pool := open(t, url, postgres.Options{})
	note := func(ctx context.Context, tx pgx.Tx, text string) error {
		_, err := tx.Exec(ctx, "insert into notes values ($1)", text)
		return err
	}
	abort := func(code string) error { return &pgconn.PgError{Code: code} }
	broken := errors.New("broken")
	for _, tc := range []struct {
		rule  string
		fails []error // of the first runs of work
		runs  int
		want  error
		rows  int
	}{
		{"no error commits", nil, 1, nil, 1},
		{"an error rolls back and is returned", []error{broken}, 1, broken, 0},
		{"a serialization failure runs work again", []error{abort("40001")}, 2, nil, 1},
		{"a deadlock runs work again", []error{abort("40P01"), abort("40P01")}, 3, nil, 1},
		{"a refusal of the database does not", []error{abort("23505")}, 1, nil, 0},
		{"five runs at most", []error{abort("40001"), abort("40001"), abort("40001"), abort("40001"), abort("40001"), abort("40001")}, 5, nil, 0},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			runs := 0
			err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				runs++
				if err := note(t.Context(), tx, tc.rule); err != nil {
					return err
				}
				if runs <= len(tc.fails) {
					return tc.fails[runs-1]
				}
				return nil
			})
			if (err == nil) != (tc.rows == 1) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("InTx = %v", err)
			}
			if runs != tc.runs {
				t.Errorf("work ran %d times, want %d", runs, tc.runs)
			}
			var rows int
			if err := pool.QueryRow(t.Context(), "select count(*) from notes where text = $1", tc.rule).Scan(&rows); err != nil || rows != tc.rows {
				t.Errorf("%d rows, %v; want %d", rows, err, tc.rows)
			}
		})
	}
}

// Two transactions lock each other's row: Postgres aborts one of them, and both must come through.
func TestInTxSurvivesADeadlock(t *testing.T) {
	t.Parallel()
	url := start(t, postgres.ServerOptions{Dir: madeDir(t)}).URL(postgres.Database)
	execSQL(t, url, "create table counters as select id, 0 as n from generate_series(1, 2) id")
	pool := open(t, url, postgres.Options{})
	const raise = "update counters set n = n + 1 where id = $1"
	held := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	done := make(chan error, 2)
	for i := range 2 {
		go func() {
			first := true
			done <- postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), raise, i+1); err != nil {
					return err
				}
				if first {
					first = false
					close(held[i])
					<-held[1-i]
				}
				_, err := tx.Exec(t.Context(), raise, 2-i)
				return err
			})
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := queryInt(t, url, "select sum(n) from counters"); n != 4 {
		t.Errorf("raised %d times, want 4", n)
	}
}

func open(t *testing.T, url string, opts postgres.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
