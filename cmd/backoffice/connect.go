package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/postgres"
	"backoffice/migrations"
)

// databaseURL finds the database: the one that is named, else that of a running dev.
func databaseURL(c *cli.Context) (string, error) {
	if url := c.String("database-url"); url != "" {
		if err := postgres.CheckURL(url); err != nil {
			return "", &usageError{err}
		}
		return url, nil
	}
	dir, err := dataDir(c)
	if err != nil {
		return "", err
	}
	if url, ok := postgres.RunningURL(dir); ok {
		return url, nil
	}
	return "", fmt.Errorf("no database: DATABASE_URL is not set and no backoffice dev runs on %s; run backoffice dev in another terminal, or set DATABASE_URL", dir)
}

// dataDir is where dev keeps its Postgres.
func dataDir(c *cli.Context) (string, error) {
	if dir := c.Path("data-dir"); dir != "" {
		return dir, nil
	}
	return postgres.DefaultDir()
}

// connectPool opens a pool whose connections carry a name of their own, "" for the usual one. A size
// of 0 is enough for a command.
func connectPool(c *cli.Context, applicationName string, size int) (*pgxpool.Pool, error) {
	url, err := databaseURL(c)
	if err != nil {
		return nil, err
	}
	return postgres.Connect(c.Context, url, postgres.Options{ApplicationName: applicationName, MaxConns: int32(size)})
}

// requireSchema refuses a database whose schema is not this program's.
func requireSchema(ctx context.Context, pool *pgxpool.Pool) error {
	return migrations.Check(ctx, pool)
}

// withPool runs a command on a pool of the database, once its schema has been found right.
func withPool(c *cli.Context, command func(*pgxpool.Pool) error) error {
	return withAnySchema(c, func(pool *pgxpool.Pool) error {
		if err := requireSchema(c.Context, pool); err != nil {
			return err
		}
		return command(pool)
	})
}

// withAnySchema runs a command on a pool of the database, whatever its schema.
func withAnySchema(c *cli.Context, command func(*pgxpool.Pool) error) error {
	pool, err := connectPool(c, "", 0)
	if err != nil {
		return err
	}
	defer pool.Close()
	return command(pool)
}
