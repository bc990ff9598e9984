package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
	"backoffice/internal/queue"
	"backoffice/jobs"
)

func productsCommand() *cli.Command {
	return &cli.Command{
		Name:  "products",
		Usage: "look at stock, receive it and correct it",
		Description: `A product without a number on hand is not tracked and never short. Whatever raises the
stock enqueues the orders that wait for it, oldest first.

  backoffice products list --waiting
  backoffice products receive 85123A 500`,
		Subcommands: []*cli.Command{productsListCommand(), productsShowCommand(), productsReceiveCommand(), productsCorrectCommand()},
	}
}

func productsListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list products by sku",
		Description: `  backoffice products list --waiting        what orders wait for
  backoffice products list --after 85123A   the page after the one that ended with 85123A`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "waiting", EnvVars: []string{"BACKOFFICE_WAITING"}, Usage: "only products that orders wait for"},
			&cli.StringFlag{Name: "after", EnvVars: []string{"BACKOFFICE_AFTER_SKU"}, Usage: "`SKU` that the page before ended with"},
			&cli.IntFlag{Name: "limit", EnvVars: []string{"BACKOFFICE_LIMIT"}, Value: order.DefaultLimit, Usage: "how many `ROWS` at most, up to 1000"},
		},
		Action: func(c *cli.Context) error {
			if err := checkLimit(c, order.MaxLimit); err != nil {
				return err
			}
			return withPool(c, func(pool *pgxpool.Pool) error {
				products, err := order.ListProducts(c.Context, pool, order.ProductFilter{
					After: c.String("after"), Limit: c.Int("limit"), Waiting: c.Bool("waiting"),
				})
				if err != nil {
					return err
				}
				return printRows(c, products, productsTable(products...), "no such products")
			})
		},
	}
}

func productsShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show one product",
		ArgsUsage:   "SKU",
		Description: "  backoffice products show 85123A",
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error {
				product, err := order.GetProduct(c.Context, pool, c.Args().First())
				if err != nil {
					return err
				}
				if wantsJSON(c) {
					return printJSON(c, product)
				}
				return productsTable(product).print(c.App.Writer, "", "")
			})
		},
	}
}

func productsTable(products ...order.Product) *table {
	t := newTable("SKU", ">ON_HAND", ">WAITING", "DESCRIPTION")
	for _, p := range products {
		t.add(p.SKU, onHand(p), p.Waiting, p.Description)
	}
	return t
}

func onHand(p order.Product) string {
	if p.OnHand == nil {
		return "untracked"
	}
	return strconv.Itoa(*p.OnHand)
}

func productsReceiveCommand() *cli.Command {
	return &cli.Command{
		Name:      "receive",
		Usage:     "add units to the stock of a product",
		ArgsUsage: "SKU QUANTITY",
		Description: `  backoffice products receive 85123A 500
  backoffice products receive 85123A 500 --track     begin to keep its stock, with 500 units`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "track", EnvVars: []string{"BACKOFFICE_TRACK"},
				Usage: "begin to track the product's stock with these units; a product that is new is created"},
			&cli.StringFlag{Name: "description", EnvVars: []string{"BACKOFFICE_DESCRIPTION"}, Usage: "`TEXT` for a product that is new, with --track"},
		},
		Action: func(c *cli.Context) error {
			if c.IsSet("description") && !c.Bool("track") {
				return usagef("--description goes with --track")
			}
			return changeStock(c, 1, receive)
		},
	}
}

func receive(c *cli.Context, tx pgx.Tx, enq jobs.Enqueuer, sku string, quantity int) (order.Product, int, error) {
	if !c.Bool("track") {
		product, woken, err := order.Receive(c.Context, tx, enq, sku, quantity, time.Now())
		if errors.Is(err, order.ErrNotFound) || errors.Is(err, order.ErrNotTracked) {
			err = fmt.Errorf("%w; add --track to begin with these units", err)
		}
		return product, woken, err
	}
	if err := order.Track(c.Context, tx, sku, c.String("description"), quantity, time.Now()); err != nil {
		return order.Product{}, 0, err
	}
	product, err := order.GetProduct(c.Context, tx, sku)
	return product, 0, err
}

func productsCorrectCommand() *cli.Command {
	return &cli.Command{
		Name:        "correct",
		Usage:       "set the stock of a product to what a stocktake found",
		ArgsUsage:   "SKU ON_HAND",
		Description: "  backoffice products correct 85123A 487",
		Action: func(c *cli.Context) error {
			return changeStock(c, 0, func(c *cli.Context, tx pgx.Tx, enq jobs.Enqueuer, sku string, onHand int) (order.Product, int, error) {
				return order.Correct(c.Context, tx, enq, sku, onHand, time.Now())
			})
		},
	}
}

// stockChange changes the stock of one product and answers it with the number of orders enqueued.
type stockChange func(c *cli.Context, tx pgx.Tx, enq jobs.Enqueuer, sku string, units int) (order.Product, int, error)

// changedProduct is what a change of stock prints.
type changedProduct struct {
	order.Product
	Woken int `json:"woken"` // orders enqueued because they waited for it
}

// changeStock reads SKU and a number of units (at least least), and applies the change.
func changeStock(c *cli.Context, least int, change stockChange) error {
	units, err := strconv.Atoi(c.Args().Get(1))
	if err != nil || units < least || units > math.MaxInt32 {
		return usagef("%q is no number of units; give a whole number from %d to %d", c.Args().Get(1), least, math.MaxInt32)
	}
	return withPool(c, func(pool *pgxpool.Pool) error {
		client, err := queue.NewInserter(pool)
		if err != nil {
			return err
		}
		var changed changedProduct
		err = postgres.InTx(c.Context, pool, func(tx pgx.Tx) (err error) {
			changed.Product, changed.Woken, err = change(c, tx, client, c.Args().First(), units)
			return err
		})
		if err != nil {
			return err
		}
		if wantsJSON(c) {
			return printJSON(c, changed)
		}
		return printf(c, "%s: %s on hand; %s enqueued that waited for it\n",
			oneLine(changed.SKU), onHand(changed.Product), count(changed.Woken, "order"))
	})
}
