package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
)

// mostActs bounds a page of the audit log.
const mostActs = 1000

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "list what operators did: who, what, when, on what",
		Description: `  backoffice audit
  backoffice audit --target "order 41"
  backoffice audit --after 1200        the page after the one that ended with id 1200`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "target", EnvVars: []string{"BACKOFFICE_AUDIT_TARGET"}, Usage: "only what was done to this `THING`, such as \"job 123\" or \"queue orders\""},
			&cli.Int64Flag{Name: "after", EnvVars: []string{"BACKOFFICE_AFTER"}, DefaultText: "from the newest", Usage: "`ID` that the page before ended with"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: 50, Usage: "how many `ROWS` at most, up to 1000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, mostActs); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				acts, err := audit.List(c.Context, pool, audit.Filter{Target: c.String("target"), After: c.Int64("after"), Limit: c.Int("limit")})
				if err != nil {
					return err
				}
				t := newTable(">ID", "AT", "ACTOR", "ACTION", "TARGET", "REASON")
				for _, act := range acts {
					t.add(act.ID, act.At, act.Actor, act.Action, act.Target, brief(act.Reason, 80))
				}
				none := "no operator has done anything yet"
				switch target := c.String("target"); {
				case c.IsSet("after"):
					none = "no operator has done anything before that"
				case target != "":
					none = fmt.Sprintf("no operator has done anything to %q", target)
				}
				return printRows(c, acts, t, none)
			})
		},
	}
}
