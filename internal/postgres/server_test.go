package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
)

func TestServerKeepsItsDataBetweenStarts(t *testing.T) {
	t.Parallel()
	dir := pgtest.ServerDir(t)
	first := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	execSQL(t, first.URL(postgres.Database), "create table kept as select 42 as n")
	stop(t, first)
	second := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	if n := queryInt(t, second.URL(postgres.Database), "select n from kept"); n != 42 {
		t.Errorf("kept %d, want 42", n)
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	durable := start(t, postgres.ServerOptions{Dir: pgtest.ServerDir(t), Durable: true}).URL(postgres.Database)
	fast := start(t, postgres.ServerOptions{Dir: pgtest.ServerDir(t), MaxConnections: 33}).URL(postgres.Database)
	for _, tc := range []struct{ rule, url, setting, want string }{
		{"a durable server syncs", durable, "fsync", "on"},
		{"a durable server waits for the disk", durable, "synchronous_commit", "on"},
		{"a durable server writes full pages", durable, "full_page_writes", "on"},
		{"200 connections by default", durable, "max_connections", "200"},
		{"no port unless asked for", durable, "listen_addresses", ""},
		{"sessions are in UTC", durable, "TimeZone", "UTC"},
		{"text is UTF-8", durable, "server_encoding", "UTF8"},
		{"a server for tests does not sync", fast, "fsync", "off"},
		{"connections as asked for", fast, "max_connections", "33"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if got := queryText(t, tc.url, "select current_setting('"+tc.setting+"')"); got != tc.want {
				t.Errorf("%s = %q, want %q", tc.setting, got, tc.want)
			}
		})
	}
}

func TestSecondStartIsRefusedAndNamesTheHolder(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	_, err := postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: dir, Durable: true})
	if !errors.Is(err, postgres.ErrHeld) {
		t.Fatalf("second start: %v, want ErrHeld", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d ", os.Getpid()), time.Now().UTC().Format(" since 2006-01-")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if err := postgres.RemoveServer(t.Context(), dir); !errors.Is(err, postgres.ErrHeld) {
		t.Errorf("remove a running server: %v, want ErrHeld", err)
	}
	execSQL(t, s.URL(postgres.Database), "select 1")
}

func TestRunningURLFindsOnlyAServerThatRuns(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	if url, ok := postgres.RunningURL(dir); ok {
		t.Errorf("found %q where nothing was started", url)
	}
	s := start(t, postgres.ServerOptions{Dir: dir, Durable: true})
	url, ok := postgres.RunningURL(dir)
	if want := s.URL(postgres.Database); !ok || url != want {
		t.Errorf("RunningURL = %q, %v; want %q", url, ok, want)
	}
	stop(t, s)
	if url, ok := postgres.RunningURL(dir); ok {
		t.Errorf("found %q after the stop", url)
	}
}

func TestPort(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := startOnFreePort(t, dir)
	if n := queryInt(t, s.TCPURL(postgres.Database), "select 42"); n != 42 {
		t.Errorf("answered %d, want 42", n)
	}
	t.Run("the socket answers too", func(t *testing.T) {
		execSQL(t, s.URL(postgres.Database), "select 1")
	})
	t.Run("no password, no entry", func(t *testing.T) {
		config, err := pgx.ParseConfig(s.TCPURL(postgres.Database))
		if err != nil {
			t.Fatal(err)
		}
		config.Password = "wrong"
		if _, err := pgx.ConnectConfig(t.Context(), config); err == nil {
			t.Error("entered with a wrong password")
		}
	})
	t.Run("only its owner may read the password", func(t *testing.T) {
		stat, err := os.Stat(filepath.Join(dir, "password"))
		if err != nil {
			t.Fatal(err)
		}
		if mode := stat.Mode().Perm(); mode != 0o600 {
			t.Errorf("password is %o, want 600", mode)
		}
	})
	t.Run("a taken port is named with the cure", func(t *testing.T) {
		port, err := strconv.Atoi(portOf(t, s))
		if err != nil {
			t.Fatal(err)
		}
		_, err = postgres.StartServer(t.Context(), postgres.ServerOptions{Dir: madeDir(t), Port: port})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d of 127.0.0.1 is taken", port)) {
			t.Errorf("start: %v", err)
		}
	})
	t.Run("the password is kept", func(t *testing.T) {
		before := s.TCPURL(postgres.Database)
		port, _ := strconv.Atoi(portOf(t, s))
		stop(t, s)
		again := start(t, postgres.ServerOptions{Dir: dir, Port: port})
		if after := again.TCPURL(postgres.Database); after != before {
			t.Errorf("TCPURL changed from %s to %s", before, after)
		}
		execSQL(t, again.TCPURL(postgres.Database), "select 1")
	})
}

func TestLogIsPutAsideWhenLarge(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, postgres.ServerOptions{Dir: dir})
	stop(t, s)
	if err := os.Truncate(s.LogFile(), 9<<20); err != nil {
		t.Fatal(err)
	}
	start(t, postgres.ServerOptions{Dir: dir})
	stat, err := os.Stat(s.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	if stat.Size() > 1<<20 {
		t.Errorf("log still has %d bytes", stat.Size())
	}
	if _, err := os.Stat(s.LogFile() + ".1"); err != nil {
		t.Error(err)
	}
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.StartServer(ctx, postgres.ServerOptions{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v, want context.Canceled", err)
	}
	s := start(t, postgres.ServerOptions{Dir: dir})
	execSQL(t, s.URL(postgres.Database), "select 1")
}
