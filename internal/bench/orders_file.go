package bench

import (
	"context"
	"fmt"

	"backoffice/internal/order/importer"
	"backoffice/internal/queue"
)

var ordersFileScenario = Scenario{
	Name:      "orders-file",
	Summary:   "process the orders of a real csv, next to plain SQL and to River without the fence",
	NeedsFile: true,
	Prepare:   prepareOrdersFile,
}

func prepareOrdersFile(ctx context.Context, lab *Lab) (*Plan, error) {
	plain, err := lab.Template(ctx, "file", lab.fillFile)
	if err != nil {
		return nil, err
	}
	stocked, err := lab.Template(ctx, "file tracked", func(ctx context.Context, db *Database) error {
		if err := lab.fillFile(ctx, db); err != nil {
			return err
		}
		return trackAll(ctx, db)
	})
	if err != nil {
		return nil, err
	}
	return &Plan{
		Contestants: append(lab.contest(untracked, plain), lab.contest(tracked, stocked)...),
		Ratios: []Ratio{
			{What: "one pipelined transaction per order", Of: productName + untracked, Against: plainName + untracked, Figure: ordersPerSecond, AtLeast: 2.2, Aim: 3},
			{What: "the same, stock tracked", Of: productName + tracked, Against: plainName + tracked, Figure: ordersPerSecond},
			{What: "unfenced, River's completion", Of: productName + untracked, Against: riverName + untracked, Figure: ordersPerSecond},
			{What: "what tracking leaves", Of: productName + tracked, Against: productName + untracked, Figure: ordersPerSecond},
		},
	}, nil
}

// fillFile imports the file as its owner would; no product of it is tracked.
func (l *Lab) fillFile(ctx context.Context, db *Database) error {
	inserter, err := queue.NewInserter(db.Pool)
	if err != nil {
		return err
	}
	opts := l.Settings.Import
	opts.Path, opts.OpeningStock = l.Settings.File, nil
	result, err := importer.Run(ctx, db.Pool, inserter, opts)
	if err != nil {
		return err
	}
	if result.Orders+result.Credits+result.Adjustments == 0 {
		return fmt.Errorf("%s holds no orders", l.Settings.File)
	}
	return nil
}
