package postgres

import (
	"context"
	"maps"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ConnectTimeout bounds one attempt to reach one host, so that a wrong address is reported while the
// person who typed it still looks.
const ConnectTimeout = 10 * time.Second

// defaultMaxConns is enough for a command; a worker process says what it needs.
const defaultMaxConns = 8

// Options says how a pool differs from the default.
type Options struct {
	ApplicationName string // shown in pg_stat_activity; "" means backoffice
	MaxConns        int32  // most connections at once; 0: pool_max_conns of the URL, else 8

	Settings map[string]string // server settings of every session, such as idle_in_transaction_session_timeout
}

// CheckURL answers why url names no database, without a look at any.
func CheckURL(url string) error {
	if _, err := pgxpool.ParseConfig(url); err != nil {
		return unreadableURL(url, err)
	}
	return nil
}

// Connect opens a pool on the database that url names and proves that it answers. Every session runs
// in UTC and writes instants in one way, for their text is part of keys. Statements are prepared once
// per connection; behind a pooler that does not allow it, the URL says default_query_exec_mode=exec.
// The error is one sentence that names host, port, database and the cure, never the password. The
// caller closes the pool.
func Connect(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, unreadableURL(url, err)
	}
	switch {
	case opts.MaxConns > 0:
		config.MaxConns = opts.MaxConns
	case !setsMaxConns(url):
		config.MaxConns = defaultMaxConns
	}
	config.MinConns = min(config.MinConns, config.MaxConns)
	conn := config.ConnConfig
	if conn.ConnectTimeout <= 0 || conn.ConnectTimeout > ConnectTimeout {
		conn.ConnectTimeout = ConnectTimeout
	}
	maps.Copy(conn.RuntimeParams, opts.Settings)
	conn.RuntimeParams["timezone"] = "UTC"
	conn.RuntimeParams["datestyle"] = "ISO, MDY"
	conn.RuntimeParams["application_name"] = "backoffice"
	if opts.ApplicationName != "" {
		conn.RuntimeParams["application_name"] = opts.ApplicationName
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, connectError(&conn.Config, err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, connectError(&conn.Config, err)
	}
	return pool, nil
}
