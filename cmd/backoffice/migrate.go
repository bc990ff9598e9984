package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/migrations"
)

func migrateCommand() *cli.Command {
	return &cli.Command{
		Name:  "migrate",
		Usage: "bring the schema up to date, or show how far it is",
		Description: `Safe to run from any number of processes at once: one works, the others wait and
find nothing left to do. dev migrates by itself; worker only checks.

  backoffice migrate up`,
		Subcommands: []*cli.Command{migrateUpCommand(), migrateStatusCommand()},
	}
}

func migrateUpCommand() *cli.Command {
	return &cli.Command{
		Name:        "up",
		Usage:       "apply the steps that are missing and rebuild the views of inspect",
		Description: "  DATABASE_URL=postgres://shop@db/shop backoffice migrate up",
		Action: func(c *cli.Context) error {
			return withAnySchema(c, func(pool *pgxpool.Pool) error { return migrateUp(c, pool) })
		},
	}
}

func migrateUp(c *cli.Context, pool *pgxpool.Pool) error {
	applied := []string{}
	err := migrations.Up(c.Context, pool, func(step string) {
		applied = append(applied, step)
		if !wantsJSON(c) {
			_ = printf(c, "applied %s\n", step) // the summary below reports a broken stdout
		}
	})
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return printJSON(c, map[string][]string{"applied": applied})
	}
	if len(applied) == 0 {
		return printf(c, "schema is up to date; views rebuilt\n")
	}
	return printf(c, "%s applied; views rebuilt\n", count(len(applied), "step"))
}

func migrateStatusCommand() *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "list the steps of the schema and when each was applied",
		Description: "  backoffice migrate status --output json",
		Action: func(c *cli.Context) error {
			return withAnySchema(c, func(pool *pgxpool.Pool) error {
				steps, err := migrations.Status(c.Context, pool)
				if err != nil {
					return err
				}
				t := newTable("STEP", "APPLIED_AT")
				for _, step := range steps {
					t.add(step.Name, orElse(cell(step.AppliedAt), "not yet"))
				}
				return printRows(c, steps, t, "no steps")
			})
		},
	}
}
