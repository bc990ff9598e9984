package importer

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// closedNumbers remembers every number that this import has completed, so that a row which comes too
// late is known for one, in the first import and in every later one alike. They live in a temporary
// table on a connection of the import's own: there may be more of them than memory should hold.
type closedNumbers struct {
	conn *pgx.Conn
}

const createClosedSQL = `
create /* importer.closedNumbers */ temporary table import_closed_numbers (number text collate "C" primary key)`

// newClosedNumbers takes a connection out of the pool for good, because the table ends with it.
func newClosedNumbers(ctx context.Context, pool *pgxpool.Pool) (*closedNumbers, error) {
	pooled, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &closedNumbers{conn: pooled.Hijack()}
	if _, err := c.conn.Exec(ctx, createClosedSQL); err != nil {
		c.close()
		return nil, fmt.Errorf("create the table of completed numbers: %w", err)
	}
	return c, nil
}

func (c *closedNumbers) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.conn.Close(ctx)
}

const addClosedSQL = `
insert /* importer.closedNumbers */ into import_closed_numbers (number)
select unnest($1::text[])
    on conflict do nothing
returning number`

// add notes the documents as complete. It answers those that come after their number was complete
// already, and those to be stored. A spoiled document is in neither: its rows are rejected by now.
func (c *closedNumbers) add(ctx context.Context, documents []*document) (late, onTime []*document, err error) {
	rows, err := c.conn.Query(ctx, addClosedSQL, numbersOf(documents))
	if err != nil {
		return nil, nil, fmt.Errorf("note completed orders: %w", err)
	}
	added, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, nil, fmt.Errorf("note completed orders: %w", err)
	}
	first := make(map[string]bool, len(added))
	for _, number := range added {
		first[number] = true
	}
	for _, d := range documents {
		switch {
		case !first[d.number]:
			late = append(late, d)
		case d.spoiled == "":
			onTime = append(onTime, d)
		}
		delete(first, d.number) // a second one in the same batch is late
	}
	return late, onTime, nil
}

func numbersOf(documents []*document) []string {
	numbers := make([]string, len(documents))
	for i, d := range documents {
		numbers[i] = d.number
	}
	return numbers
}
