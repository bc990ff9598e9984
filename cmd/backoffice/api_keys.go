package main

import (
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/api"
	"backoffice/internal/audit"
)

func apiKeysCommand() *cli.Command {
	return &cli.Command{
		Name:  "api-keys",
		Usage: "make, list and revoke the keys of the HTTP API",
		Description: `  enqueue  place orders, enqueue jobs
  read     look at everything
  operate  change what is there: cancel, retry, pause, resume

  backoffice api-keys create shop --scope enqueue --scope read
  backoffice api-keys list
  backoffice api-keys revoke shop`,
		Subcommands: []*cli.Command{apiKeysCreateCommand(), apiKeysListCommand(), apiKeysRevokeCommand()},
	}
}

func apiKeysCreateCommand() *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "make a key and show it this once",
		ArgsUsage: "NAME",
		Description: `The key is stored as a digest: whoever loses it makes another.

  backoffice api-keys create shop --scope enqueue --scope read
  KEY=$(backoffice api-keys create ci --scope read --output json | jq -r .key)`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "scope", EnvVars: []string{"BACKOFFICE_API_KEY_SCOPES"},
				Usage: "`SCOPE` that it has: enqueue, read or operate; repeatable"},
		},
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				var secret string
				var key api.Key
				name := c.Args().First()
				err := operate(c, pool, &audit.Action{Action: "create_api_key", Target: "key " + name, Reason: strings.Join(c.StringSlice("scope"), ", ")}, func(tx pgx.Tx) (err error) {
					secret, key, err = api.CreateKey(c.Context, tx, name, convert[api.Scope](c.StringSlice("scope")))
					return err
				})
				if err != nil {
					return err
				}
				return printNewKey(c, secret, key)
			})
		},
	}
}

func printNewKey(c *cli.Context, secret string, key api.Key) error {
	if wantsJSON(c) {
		return printJSON(c, struct {
			api.Key
			Secret string `json:"key"`
		}{key, secret})
	}
	return printf(c, "%s\n\nThis is key %s (%s). It is not shown again; send it as: Authorization: Bearer KEY\n", secret, key.Name, strings.Join(key.Scopes, ", "))
}

func apiKeysListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list keys, revoked ones too",
		Description: "  backoffice api-keys list",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				keys, err := api.ListKeys(c.Context, pool)
				if err != nil {
					return err
				}
				return printKeys(c, keys)
			})
		},
	}
}

func printKeys(c *cli.Context, keys []api.Key) error {
	t := newTable("NAME", "SCOPES", "KEY", "CREATED_AT", "REVOKED_AT")
	for _, key := range keys {
		t.add(key.Name, strings.Join(key.Scopes, ", "), "..."+key.LastFour, key.CreatedAt, key.RevokedAt)
	}
	return printRows(c, keys, t, "no keys; the API answers this machine only")
}

func apiKeysRevokeCommand() *cli.Command {
	return &cli.Command{
		Name:        "revoke",
		Usage:       "end the use of a key; a running API refuses it within 5 s",
		ArgsUsage:   "NAME",
		Description: "  backoffice api-keys revoke shop",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				var key api.Key
				name := c.Args().First()
				err := operate(c, pool, &audit.Action{Action: "revoke_api_key", Target: "key " + name}, func(tx pgx.Tx) (err error) {
					key, err = api.RevokeKey(c.Context, tx, name)
					return err
				})
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, key)
				}
				return printf(c, "key %s (...%s) is revoked\n", key.Name, key.LastFour)
			})
		},
	}
}
