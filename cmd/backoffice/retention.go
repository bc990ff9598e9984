package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/cleanup"
)

func retentionCommand() *cli.Command {
	return &cli.Command{
		Name:  "retention",
		Usage: "look at and change how long rows and objects are kept",
		Description: `A policy is a row of retention_policies: cleanup deletes the rows of its target that are
older than its age, a batch per transaction, once an hour.

  backoffice retention list
  backoffice retention set temp-files --age 14d
  backoffice retention set schedule-runs --enabled=false`,
		Subcommands: []*cli.Command{retentionListCommand(), retentionSetCommand()},
	}
}

func retentionListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list the policies",
		Description: "  backoffice retention list",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				if err := cleanup.AddMissingPolicies(c.Context, pool); err != nil {
					return err
				}
				policies, err := cleanup.ListPolicies(c.Context, pool)
				if err != nil {
					return err
				}
				return printPolicies(c, policies)
			})
		},
	}
}

// policy is one in JSON.
type policy struct {
	Name       string          `json:"name"`
	Target     string          `json:"target"`
	AgeSeconds float64         `json:"age_seconds"`
	BatchSize  int             `json:"batch_size"`
	MaxShare   decimal.Decimal `json:"max_share"`
	Enabled    bool            `json:"enabled"`
}

func printPolicies(c *cli.Context, policies []cleanup.Policy) error {
	t := newTable("NAME", "TARGET", ">AGE", ">BATCH_SIZE", ">MAX_SHARE", "ENABLED")
	shown := make([]policy, len(policies))
	for i, p := range policies {
		shown[i] = policy{p.Name, p.Target, p.Age.Seconds(), p.BatchSize, p.MaxShare, p.Enabled}
		t.add(p.Name, p.Target, retentionAge(p.Age), thousands(int64(p.BatchSize)), p.MaxShare.Mul(decimal.NewFromInt(100)).String()+"%", p.Enabled)
	}
	return printRows(c, shown, t, "no policies")
}

// retentionAge writes an age in days or hours where it is whole ones.
func retentionAge(d time.Duration) string {
	if d%time.Hour == 0 {
		return age(d)
	}
	return d.String()
}

func retentionSetCommand() *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "change one policy; what is not given stays",
		ArgsUsage: "NAME",
		Description: `See what a new age would delete before the next run does:

  backoffice retention set temp-files --age 14d
  backoffice enqueue clean-up --policy temp-files --dry-run --wait`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "age", EnvVars: []string{"BACKOFFICE_RETENTION_AGE"}, Usage: "`AGE` from which rows go, such as 14d or 36h"},
			&cli.IntFlag{Name: "batch-size", EnvVars: []string{"BACKOFFICE_RETENTION_BATCH_SIZE"}, DefaultText: "it stays", Usage: "`ROWS` of one transaction, from 1 to 100000"},
			&cli.StringFlag{Name: "max-share", EnvVars: []string{"BACKOFFICE_RETENTION_MAX_SHARE"}, Usage: "`SHARE` of the rows that one run may delete, above 0 and at most 1 (all); a run that would delete more is refused"},
			&cli.BoolFlag{Name: "enabled", EnvVars: []string{"BACKOFFICE_RETENTION_ENABLED"}, DisableDefaultText: true, Usage: "whether the hourly cleanup goes by it; --enabled=false stops it"},
		},
		Action: setRetention,
	}
}

func setRetention(c *cli.Context) error {
	change, err := retentionChange(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	return withPool(c, func(pool *pgxpool.Pool) error {
		if err := cleanup.AddMissingPolicies(c.Context, pool); err != nil {
			return err
		}
		action := &audit.Action{Action: "set_retention", Target: "policy " + name, Reason: change.String()}
		err := operate(c, pool, action, func(tx pgx.Tx) error { return cleanup.SetPolicy(c.Context, tx, name, change) })
		if err != nil {
			return operatorError(err)
		}
		changed, err := cleanup.GetPolicy(c.Context, pool, name)
		if err != nil {
			return err
		}
		return printPolicies(c, []cleanup.Policy{changed})
	})
}

func retentionChange(c *cli.Context) (change cleanup.Change, err error) {
	if c.IsSet("age") {
		age, err := parseAge(c.String("age"))
		if err != nil {
			return change, err
		}
		change.Age = &age
	}
	if c.IsSet("max-share") {
		share, err := decimal.NewFromString(c.String("max-share"))
		if err != nil {
			return change, usagef("--max-share %q is no number; write it like 0.5", c.String("max-share"))
		}
		change.MaxShare = &share
	}
	if c.IsSet("batch-size") {
		change.BatchSize = new(c.Int("batch-size"))
	}
	if c.IsSet("enabled") {
		change.Enabled = new(c.Bool("enabled"))
	}
	return change, nil
}

// parseAge reads a number of days, 14d, or a duration such as 36h.
func parseAge(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(number); err == nil && days >= 0 && days <= 36500 {
			return time.Duration(days) * day, nil
		}
	} else if age, err := time.ParseDuration(text); err == nil {
		return age, nil
	}
	return 0, usagef("--age %q is no age; write it like 14d or 36h", text)
}
