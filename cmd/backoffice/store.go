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

// openStores opens the stores that --store names. The caller closes them before the pool.
func openStores(c *cli.Context, pool *pgxpool.Pool) (*store.Stores, error) {
	return store.Open(c.Context, c.String("store"), pool)
}
