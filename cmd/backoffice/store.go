package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/store"
)

// defaultStore needs nothing beside the database and serves any number of hosts.
const defaultStore = "postgres:"

// storeFlag says where artifacts lie; openStores reads it.
func storeFlag() cli.Flag {
	return &cli.StringFlag{Name: "store", EnvVars: []string{"BACKOFFICE_STORE"}, Value: defaultStore,
		Usage: "`URL` of where the artifacts of reports lie: postgres: or file:///DIR; the same for all processes"}
}

// checkStore refuses a --store that names none.
func checkStore(c *cli.Context) error {
	if err := store.CheckURL(c.String("store")); err != nil {
		return &usageError{err}
	}
	return nil
}

// openStores opens the stores that --store names. The caller closes them before the pool.
func openStores(c *cli.Context, pool *pgxpool.Pool) (*store.Stores, error) {
	if err := checkStore(c); err != nil {
		return nil, err
	}
	return store.Open(c.Context, c.String("store"), pool)
}

// readStores opens the stores that --store names for a command that only reads, and makes none of them. The
// caller closes them before the pool.
func readStores(c *cli.Context, pool *pgxpool.Pool) (*store.Stores, error) {
	if err := checkStore(c); err != nil {
		return nil, err
	}
	return store.OpenToRead(c.Context, c.String("store"), pool)
}
