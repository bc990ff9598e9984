package main

import (
	"os"
	"os/user"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/postgres"
)

// operate runs what an operator typed, and writes down who did what to what in the same transaction. Work may
// add a reason.
func operate(c *cli.Context, pool *pgxpool.Pool, action *audit.Action, work func(pgx.Tx) error) error {
	return postgres.InTx(c.Context, pool, func(tx pgx.Tx) error {
		if err := work(tx); err != nil {
			return err
		}
		action.Actor = operator()
		return audit.Write(c.Context, tx, *action)
	})
}

// reasonFlag is why an operator does what is written down.
func reasonFlag() cli.Flag {
	return &cli.StringFlag{Name: "reason", EnvVars: []string{"BACKOFFICE_REASON"}, Usage: "`TEXT` that is kept in the audit log"}
}

// operator names who types here. It is what the machine says and proves nothing: whoever can reach the
// database can write whatever they like.
func operator() string {
	name := strconv.Itoa(os.Getuid())
	if account, err := user.Current(); err == nil {
		name = account.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return "cli " + oneLine(name) + "@" + oneLine(host)
}
