package main

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/cleanup"
)

func holdsCommand() *cli.Command {
	return &cli.Command{
		Name:  "holds",
		Usage: "keep rows from being deleted, whatever their age",
		Description: `A hold names a table and the key of a row. Cleanup passes a held row by, with its
objects, until the hold is removed. It is refused once the row is being deleted.

The key of a report, temp file or run of cleanup is its id; an artifact's is the id of
its report. For the other tables see docs/cleanup.md.

  backoffice holds add temp_files 41 --reason "lawsuit 7"
  backoffice holds add artifacts 12 --reason "audit of 2026"    the artifact of report 12
  backoffice holds list
  backoffice holds remove temp_files 41`,
		Subcommands: []*cli.Command{holdsAddCommand(), holdsListCommand(), holdsRemoveCommand()},
	}
}

func holdsAddCommand() *cli.Command {
	return &cli.Command{
		Name:        "add",
		Usage:       "keep one row",
		ArgsUsage:   "TABLE KEY",
		Description: `  backoffice holds add temp_files 41 --reason "lawsuit 7"`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", EnvVars: []string{"BACKOFFICE_REASON"}, Usage: "`TEXT` that tells others when the hold may go"},
			&cli.StringFlag{Name: "by", EnvVars: []string{"BACKOFFICE_BY"}, Usage: "`NAME` of whoever wants it (default: the account that runs the command)"},
		},
		Action: func(c *cli.Context) error {
			wanted := cleanup.Hold{Target: c.Args().Get(0), Key: c.Args().Get(1), Reason: c.String("reason"), PlacedBy: orElse(c.String("by"), operator())}
			if wanted.Reason == "" {
				return usagef("holds add wants a --reason TEXT, so that somebody can tell when the hold may go")
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				var placed cleanup.Hold
				action := &audit.Action{Action: "place_hold", Target: wanted.Target + " " + wanted.Key, Reason: wanted.Reason}
				err := operate(c, pool, action, func(tx pgx.Tx) (err error) {
					placed, err = cleanup.PlaceHold(c.Context, tx, wanted)
					return err
				})
				if err != nil {
					return holdError(err)
				}
				if wantsJSON(c) {
					return printJSON(c, placed)
				}
				return printf(c, "%s %s is held until the hold is removed\n", placed.Target, placed.Key)
			})
		},
	}
}

func holdsRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "let a row go with its age again",
		ArgsUsage:   "TABLE KEY",
		Description: "  backoffice holds remove temp_files 41",
		Action: func(c *cli.Context) error {
			target, key := c.Args().Get(0), c.Args().Get(1)
			return withPool(c, func(pool *pgxpool.Pool) error {
				var removed cleanup.Hold
				err := operate(c, pool, &audit.Action{Action: "remove_hold", Target: target + " " + key}, func(tx pgx.Tx) (err error) {
					removed, err = cleanup.RemoveHold(c.Context, tx, target, key)
					return err
				})
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, removed)
				}
				return printf(c, "%s %s is held no longer\n", target, key)
			})
		},
	}
}

func holdsListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list holds, the newest first",
		Description: "  backoffice holds list --table artifacts",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "table", EnvVars: []string{"BACKOFFICE_HOLD_TABLE"}, Usage: "only holds on rows of this `TABLE`"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: 50, Usage: "how many `ROWS` at most, up to 10000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, mostRows); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				holds, err := cleanup.ListHolds(c.Context, pool, c.String("table"), c.Int("limit"))
				if err != nil {
					return operatorError(err)
				}
				t := newTable("TABLE", "KEY", "REASON", "PLACED_BY", "PLACED_AT")
				for _, hold := range holds {
					t.add(hold.Target, hold.Key, hold.Reason, hold.PlacedBy, hold.PlacedAt)
				}
				return printRows(c, holds, t, "no holds")
			})
		},
	}
}

// holdError makes wrong usage of an invalid hold only: that a row is gone is no fault of the command line.
func holdError(err error) error {
	if errors.Is(err, cleanup.ErrInvalid) {
		return usagef("%w", err)
	}
	return err
}
