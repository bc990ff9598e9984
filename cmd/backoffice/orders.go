package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/audit"
	"backoffice/internal/order"
	"backoffice/internal/queue"
)

func ordersCommand() *cli.Command {
	return &cli.Command{
		Name:  "orders",
		Usage: "place, import, follow and cancel orders",
		Description: `  backoffice orders place --customer 17850 --line 85123A:6:2.55
  backoffice orders list --status awaiting_stock
  backoffice orders show --number 536365`,
		Subcommands: []*cli.Command{
			ordersPlaceCommand(), ordersImportCommand(), ordersListCommand(), ordersShowCommand(), ordersCancelCommand(),
		},
	}
}

func ordersListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list orders, the newest first",
		Description: `  backoffice orders list --status rejected
  backoffice orders list --customer 17850 --limit 10
  backoffice orders list --after 1200        the page after the one that ended with id 1200`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "status", EnvVars: []string{"BACKOFFICE_ORDER_STATUS"},
				Usage: "only orders of this `STATUS`: placed, awaiting_stock, processed, rejected or cancelled"},
			&cli.StringFlag{Name: "kind", EnvVars: []string{"BACKOFFICE_ORDER_KIND"}, Usage: "only orders of this `KIND`: sale, credit or adjustment"},
			&cli.StringFlag{Name: "customer", EnvVars: []string{"BACKOFFICE_ORDER_CUSTOMER"}, Usage: "only orders of the customer of this `NUMBER`"},
			&cli.Int64Flag{Name: "after", EnvVars: []string{"BACKOFFICE_AFTER"}, DefaultText: "from the newest", Usage: "`ID` that the page before ended with"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: order.DefaultLimit, Usage: "how many `ROWS` at most, up to 1000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, order.MaxLimit); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error { return listOrders(c, pool) })
		},
	}
}

func listOrders(c *cli.Context, pool *pgxpool.Pool) error {
	orders, err := order.List(c.Context, pool, order.Filter{
		Status: order.Status(c.String("status")), Kind: order.Kind(c.String("kind")),
		Customer: c.String("customer"), After: c.Int64("after"), Limit: c.Int("limit"),
	})
	if err != nil {
		return err
	}
	t := newTable(">ID", "NUMBER", "KIND", "STATUS", "CUSTOMER", "COUNTRY", "PLACED_AT", "REASON")
	for _, o := range orders {
		t.add(o.ID, o.Number, o.Kind, o.Status, o.Customer, o.Country, o.PlacedAt, brief(o.Reason, 80))
	}
	return printRows(c, orders, t, "no such orders")
}

func ordersCancelCommand() *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "cancel an order that is not final, with its job",
		ArgsUsage: "[ID]",
		Description: `  backoffice orders cancel 41 --reason "customer called"
  backoffice orders cancel --number 536365`,
		Flags: []cli.Flag{
			numberFlag(),
			&cli.StringFlag{Name: "reason", EnvVars: []string{"BACKOFFICE_REASON"}, Usage: "`TEXT` that is kept with the order"},
		},
		Action: func(c *cli.Context) error {
			return withOrder(c, func(pool *pgxpool.Pool, id int64) error { return cancelOrder(c, pool, id) })
		},
	}
}

func cancelOrder(c *cli.Context, pool *pgxpool.Pool, id int64) error {
	client, err := queue.NewInserter(pool)
	if err != nil {
		return err
	}
	var cancelled order.Order
	err = operate(c, pool, &audit.Action{Action: "cancel_order", Target: fmt.Sprintf("order %d", id), Reason: c.String("reason")}, func(tx pgx.Tx) (err error) {
		cancelled, err = order.Cancel(c.Context, tx, client, id, c.String("reason"), time.Now())
		return err
	})
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return printJSON(c, cancelled)
	}
	return printf(c, "order %d (number %s) is cancelled\n", cancelled.ID, oneLine(cancelled.Number))
}

func numberFlag() cli.Flag {
	return &cli.StringFlag{Name: "number", EnvVars: []string{"BACKOFFICE_ORDER_NUMBER"}, Usage: "`NUMBER` of the order, instead of its id"}
}

// withOrder runs a command on the order that its argument or --number names.
func withOrder(c *cli.Context, command func(pool *pgxpool.Pool, id int64) error) error {
	if (c.NArg() > 0) == c.IsSet("number") {
		return usagef("%s wants either the ID of an order or --number NUMBER", nameOf(c.Command))
	}
	var id int64
	if c.NArg() > 0 {
		var err error
		if id, err = idArg(c.Args().First()); err != nil {
			return err
		}
	}
	return withPool(c, func(pool *pgxpool.Pool) error {
		if c.IsSet("number") {
			var err error
			if id, err = order.FindByNumber(c.Context, pool, c.String("number")); err != nil {
				return err
			}
		}
		return command(pool, id)
	})
}

// idArg reads an argument that is the id of something.
func idArg(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is no id; an id is a whole number from 1", arg)
	}
	return id, nil
}

// checkLimit refuses a page size out of range before anything is connected.
func checkLimit(c *cli.Context, most int) error {
	if limit := c.Int("limit"); limit < 1 || limit > most {
		return usagef("--limit %d is out of range; use 1 to %d", limit, most)
	}
	return nil
}
