package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/urfave/cli/v2"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
)

func ordersPlaceCommand() *cli.Command {
	return &cli.Command{
		Name:  "place",
		Usage: "place an order; its job commits with it",
		Description: `A credit has quantities below zero and gives stock and money back.

  backoffice orders place --customer 17850 --line 85123A:6:2.55 --line 71053:6:3.39
  backoffice orders place --kind credit --customer 17850 --line 85123A:-1:2.55`,
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "line", EnvVars: []string{"BACKOFFICE_ORDER_LINE"}, Value: &lineFlag{},
				Usage: "a line, as `SKU:QUANTITY:UNIT_PRICE`; repeatable"},
			&cli.StringFlag{Name: "customer", EnvVars: []string{"BACKOFFICE_ORDER_CUSTOMER"}, Usage: "`NUMBER` of the customer (default: a guest)"},
			&cli.StringFlag{Name: "number", EnvVars: []string{"BACKOFFICE_ORDER_NUMBER"}, Usage: "`NUMBER` of the order (default: one is made up)"},
			&cli.StringFlag{Name: "kind", EnvVars: []string{"BACKOFFICE_ORDER_KIND"}, Value: string(order.KindSale), Usage: "`KIND`: sale, credit or adjustment"},
			&cli.StringFlag{Name: "country", EnvVars: []string{"BACKOFFICE_ORDER_COUNTRY"}, Usage: "`COUNTRY` of the order"},
			&cli.StringFlag{Name: "currency", EnvVars: []string{"BACKOFFICE_CURRENCY"}, Value: "GBP", Usage: "`CODE` of three capital letters"},
			&cli.TimestampFlag{Name: "placed-at", EnvVars: []string{"BACKOFFICE_ORDER_PLACED_AT"}, Layout: time.RFC3339,
				Usage: "`TIME` it was placed, like 2026-01-31T08:00:00Z; a day ahead at most (default: now)"},
		},
		Action: placeOrder,
	}
}

func placeOrder(c *cli.Context) error {
	draft, err := draftOf(c)
	if err != nil {
		return err
	}
	return withPool(c, func(pool *pgxpool.Pool) error {
		client, err := queue.NewInserter(pool)
		if err != nil {
			return err
		}
		var placed []order.Order
		err = postgres.InTx(c.Context, pool, func(tx pgx.Tx) (err error) {
			placed, err = order.Place(c.Context, tx, client, draft)
			return err
		})
		if err != nil {
			return err
		}
		story, err := order.History(c.Context, pool, placed[0].ID)
		if err != nil {
			return err
		}
		return printPlaced(c, story)
	})
}

// draftOf reads the flags. What an order must be is judged by order.Place.
func draftOf(c *cli.Context) (order.Draft, error) {
	lines, _ := c.Generic("line").(*lineFlag)
	if lines == nil || len(lines.lines) == 0 {
		return order.Draft{}, usagef("orders place wants at least one --line SKU:QUANTITY:UNIT_PRICE")
	}
	draft := order.Draft{
		Number: c.String("number"), Kind: order.Kind(c.String("kind")), Customer: c.String("customer"),
		Country: c.String("country"), Currency: c.String("currency"), Lines: lines.lines,
	}
	if at := c.Timestamp("placed-at"); at != nil {
		draft.PlacedAt = *at
	}
	return draft, order.CheckPlacedAt(draft.PlacedAt, time.Now())
}

// placedOrder is what the command prints.
type placedOrder struct {
	order.Order
	JobID int64 `json:"job_id"`
}

func printPlaced(c *cli.Context, story order.Story) error {
	placed := placedOrder{Order: story.Order}
	if n := len(story.Jobs); n > 0 {
		placed.JobID = story.Jobs[n-1].ID
	}
	if wantsJSON(c) {
		return printJSON(c, placed)
	}
	return printf(c, "order %d (number %s) is placed; job %d processes it\n", placed.ID, oneLine(placed.Number), placed.JobID)
}

// lineFlag collects --line flags.
type lineFlag struct{ lines []order.Line }

// Set reads SKU:QUANTITY:UNIT_PRICE; a sku may itself hold colons and commas.
func (f *lineFlag) Set(text string) error {
	rest, price, ok := cutLast(text)
	sku, quantity, ok2 := cutLast(rest)
	if !ok || !ok2 {
		return fmt.Errorf("is not SKU:QUANTITY:UNIT_PRICE, such as 85123A:6:2.55")
	}
	n, err := strconv.ParseInt(quantity, 10, 32)
	if err != nil {
		return fmt.Errorf("has quantity %q, which is no whole number of this size", quantity)
	}
	amount, err := decimal.NewFromString(price)
	if err != nil {
		return fmt.Errorf("has unit price %q, which is no number; write it like 2.55", price)
	}
	f.lines = append(f.lines, order.Line{SKU: sku, Quantity: int(n), UnitPrice: amount})
	return nil
}

// String is for the help page, which shows no default.
func (f *lineFlag) String() string { return "" }

func cutLast(text string) (before, after string, found bool) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return "", text, false
	}
	return text[:at], text[at+1:], true
}
