package main

import (
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/order"
)

func ordersShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "tell the whole story of an order",
		ArgsUsage: "[ID]",
		Description: `Its lines, changes of status, effects, ledger entries, stock movements, what it waits
for, and its jobs.

  backoffice orders show 41
  backoffice orders show --number 536365 --output json`,
		Flags: []cli.Flag{numberFlag()},
		Action: func(c *cli.Context) error {
			return withOrder(c, func(pool *pgxpool.Pool, id int64) error {
				story, err := order.History(c.Context, pool, id)
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, struct {
						order.Story
						Amount string `json:"amount"`
					}{story, order.Total(story.Order.Lines).String()})
				}
				return printStory(c.App.Writer, story)
			})
		},
	}
}

// printStory writes the order's facts and then a table for each part of its story that has rows.
func printStory(w io.Writer, story order.Story) error {
	if err := printFacts(w, story.Order); err != nil {
		return err
	}
	for _, part := range []struct {
		title string
		table *table
	}{
		{"lines", linesTable(story.Order.Lines)},
		{"waits for", waitsTable(story.Waits)},
		{"status", transitionsTable(story.Transitions)},
		{"effects", effectsTable(story.Effects)},
		{"ledger", entriesTable(story.Entries)},
		{"stock movements", movementsTable(story.Movements)},
		{"jobs", orderJobsTable(story.Jobs)},
	} {
		if len(part.table.rows) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s\n", part.title); err != nil {
			return err
		}
		if err := part.table.print(w, "  ", ""); err != nil {
			return err
		}
	}
	return nil
}

func printFacts(w io.Writer, o order.Order) error {
	reason := ""
	if o.Reason != "" {
		reason = ": " + o.Reason
	}
	_, err := fmt.Fprintf(w, "order %d (%s, number %s) is %s%s\nplaced %s by %s, amount %s %s\n",
		o.ID, o.Kind, oneLine(o.Number), o.Status, oneLine(reason),
		instant(o.PlacedAt), buyer(o), order.Total(o.Lines), o.Currency)
	return err
}

func buyer(o order.Order) string {
	who := "a guest"
	if o.Customer != "" {
		who = "customer " + o.Customer
	}
	if o.Country != "" {
		who += " in " + o.Country
	}
	return oneLine(who)
}

func linesTable(lines []order.Line) *table {
	t := newTable(">LINE", "KIND", "SKU", ">QUANTITY", ">UNIT_PRICE", "DESCRIPTION")
	for _, l := range lines {
		t.add(l.LineNo, l.Kind, l.SKU, l.Quantity, l.UnitPrice, l.Description)
	}
	return t
}

func waitsTable(waits []order.Wait) *table {
	t := newTable("SKU", ">NEEDED", ">ON_HAND", "SINCE")
	for _, wait := range waits {
		t.add(wait.SKU, wait.Needed, wait.OnHand, wait.Since)
	}
	return t
}

func transitionsTable(transitions []order.Transition) *table {
	t := newTable("FROM", "TO", "AT", ">JOB")
	for _, change := range transitions {
		t.add(change.From, change.To, change.At, change.JobID)
	}
	return t
}

func effectsTable(effects []order.Effect) *table {
	t := newTable("EFFECT", "APPLIED_AT", ">JOB")
	for _, effect := range effects {
		t.add(effect.Effect, effect.AppliedAt, effect.JobID)
	}
	return t
}

func entriesTable(entries []order.Entry) *table {
	t := newTable("ACCOUNT", ">AMOUNT", "AT")
	for _, entry := range entries {
		t.add(entry.Account, entry.Amount, entry.At)
	}
	return t
}

func movementsTable(movements []order.Movement) *table {
	t := newTable("SKU", ">QUANTITY", "REASON", "AT")
	for _, movement := range movements {
		t.add(movement.SKU, movement.Quantity, movement.Reason, movement.At)
	}
	return t
}

func orderJobsTable(jobs []order.Job) *table {
	t := newTable(">ID", "STATE", "ATTEMPT", "CREATED_AT", "SCHEDULED_AT", "FINALIZED_AT", "LAST_ERROR")
	for _, job := range jobs {
		t.add(job.ID, job.State, fmt.Sprintf("%d of %d", job.Attempt, job.MaxAttempts),
			job.CreatedAt, job.ScheduledAt, job.FinalizedAt, brief(job.LastError, 120))
	}
	return t
}
