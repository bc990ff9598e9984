package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/queue"
)

func queuesCommand() *cli.Command {
	return &cli.Command{
		Name:  "queues",
		Usage: "look at the queues, pause one, resume it",
		Description: `  backoffice queues list
  backoffice queues pause orders --reason "stocktaking"
  backoffice queues resume orders`,
		Subcommands: []*cli.Command{
			queuesListCommand(),
			queueChangeCommand("pause", "paused", queue.PauseQueue,
				"keep jobs of a queue from starting; those that run go on, enqueuing too"),
			queueChangeCommand("resume", "resumed", queue.ResumeQueue, "end a pause; its jobs are taken again at once"),
		},
	}
}

func queuesListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list the queues: unfinished jobs by state, how long the oldest is due",
		Description: "  backoffice queues list",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				depths, err := queue.ListQueues(c.Context, pool)
				if err != nil {
					return err
				}
				t := newTable("QUEUE", ">AVAILABLE", ">RUNNING", ">RETRYABLE", ">SCHEDULED", ">OLDEST", ">FINISHED/MIN", "PAUSED_AT")
				for _, d := range depths {
					t.add(d.Queue, depth(d.Available), depth(d.Running), depth(d.Retryable), depth(d.Scheduled), dueFor(d.OldestAgeSeconds), d.FinishedPerMinute, d.PausedAt)
				}
				return printRows(c, depths, t, "no queues; one appears with its first job or worker process")
			})
		},
	}
}

// depth shows a count that stops at queue.MaxDepth.
func depth(n int) string {
	if n >= queue.MaxDepth {
		return thousands(queue.MaxDepth) + "+"
	}
	return thousands(int64(n))
}

func dueFor(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return (time.Duration(*seconds) * time.Second).String()
}

func queueChangeCommand(verb, done string, change func(context.Context, pgx.Tx, *queue.Client, string) error, usage string) *cli.Command {
	return &cli.Command{
		Name:        verb,
		Usage:       usage,
		ArgsUsage:   "NAME",
		Description: fmt.Sprintf("  backoffice queues %s orders", verb),
		Flags:       []cli.Flag{reasonFlag()},
		Action: func(c *cli.Context) error {
			name := c.Args().First()
			if name == "" {
				return usagef("queues %s wants the NAME of a queue; see backoffice queues list", verb)
			}
			return withClient(c, func(pool *pgxpool.Pool, client *queue.Client) error {
				action := &audit.Action{Action: verb + "_queue", Target: "queue " + name, Reason: c.String("reason")}
				err := operate(c, pool, action, func(tx pgx.Tx) error {
					return change(c.Context, tx, client, name)
				})
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, map[string]any{"queue": name, "paused": verb == "pause"})
				}
				return printf(c, "queue %s is %s\n", oneLine(name), done)
			})
		},
	}
}
