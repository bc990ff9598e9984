package order

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/postgres"
)

// Story is everything that is known about one order. The order of each struct's fields is that of the
// columns of its query; times are UTC.
type Story struct {
	Order       Order        `json:"order"`
	Transitions []Transition `json:"transitions"`
	Effects     []Effect     `json:"effects"`
	Entries     []Entry      `json:"ledger_entries"`
	Movements   []Movement   `json:"movements"`
	Waits       []Wait       `json:"waits"`
	Jobs        []Job        `json:"jobs"` // its process_order jobs that are still kept
}

// Transition is one change of status.
type Transition struct {
	From  Status    `json:"from"`
	To    Status    `json:"to"`
	At    time.Time `json:"at"`
	JobID *int64    `json:"job_id"` // null: not by a job
}

// Effect is a change that the order has caused, at most once.
type Effect struct {
	Effect    string    `json:"effect"` // stock or ledger
	JobID     *int64    `json:"job_id"`
	AppliedAt time.Time `json:"applied_at"`
}

// Entry is one side of the order's double entry, in the order's currency.
type Entry struct {
	Account string          `json:"account"` // receivable or revenue
	Amount  decimal.Decimal `json:"amount"`
	At      time.Time       `json:"at"`
}

// Movement is a change of a tracked product's stock.
type Movement struct {
	SKU      string    `json:"sku"`
	Quantity int       `json:"quantity"` // above zero: into stock
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// Wait is a product the order waits for.
type Wait struct {
	SKU    string    `json:"sku"`
	Needed int       `json:"needed"`
	OnHand *int      `json:"on_hand"`
	Since  time.Time `json:"since"`
}

// Job is a process_order job of the order.
type Job struct {
	ID          int64      `json:"id"`
	State       string     `json:"state"`
	Attempt     int        `json:"attempt"`
	MaxAttempts int        `json:"max_attempts"`
	CreatedAt   time.Time  `json:"created_at"`
	ScheduledAt time.Time  `json:"scheduled_at"`
	AttemptedAt *time.Time `json:"attempted_at"`
	FinalizedAt *time.Time `json:"finalized_at"`
	LastError   string     `json:"last_error,omitempty"`
}

const (
	transitionsSQL = `
select /* order.History */ from_status, to_status, at, job_id
  from order_transitions
 where order_id = $1
 order by id`

	effectsSQL = `
select /* order.History */ effect, job_id, applied_at
  from order_effects
 where order_id = $1
 order by effect`

	entriesSQL = `
select /* order.History */ account, amount, at
  from ledger_entries
 where order_id = $1
 order by id`

	movementsSQL = `
select /* order.History */ sku, quantity, reason, at
  from stock_movements
 where order_id = $1
 order by id`

	waitsSQL = `
select /* order.History */ w.sku, w.needed, p.on_hand, w.since
  from order_waits w
  left join products p on p.sku = w.sku
 where w.order_id = $1
 order by w.sku`

	jobsSQL = `
select /* order.History */ id, state::text, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at,
       coalesce(errors[cardinality(errors)] ->> 'error', '')
  from river_job
 where kind = 'process_order'
   and args ->> 'order_id' = $1::bigint::text
 order by id`
)

// History answers the story of one order, or ErrNotFound.
func History(ctx context.Context, db postgres.DB, id int64) (Story, error) {
	var s Story
	batch := &pgx.Batch{}
	queueGet(batch, id, &s.Order)
	queueRows(batch, transitionsSQL, id, &s.Transitions)
	queueRows(batch, effectsSQL, id, &s.Effects)
	queueRows(batch, entriesSQL, id, &s.Entries)
	queueRows(batch, movementsSQL, id, &s.Movements)
	queueRows(batch, waitsSQL, id, &s.Waits)
	queueRows(batch, jobsSQL, id, &s.Jobs)
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return Story{}, getError(id, err)
	}
	s.inUTC()
	return s, nil
}

// queueRows reads the rows that sql answers about one order.
func queueRows[T any](batch *pgx.Batch, sql string, order int64, into *[]T) {
	batch.Queue(sql, order).Query(func(rows pgx.Rows) error {
		var err error
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	})
}

// inUTC moves every time to UTC; the driver answers local times.
func (s *Story) inUTC() {
	utc := func(times ...*time.Time) {
		for _, t := range times {
			if t != nil {
				*t = t.UTC()
			}
		}
	}
	for i := range s.Transitions {
		utc(&s.Transitions[i].At)
	}
	for i := range s.Effects {
		utc(&s.Effects[i].AppliedAt)
	}
	for i := range s.Entries {
		utc(&s.Entries[i].At)
	}
	for i := range s.Movements {
		utc(&s.Movements[i].At)
	}
	for i := range s.Waits {
		utc(&s.Waits[i].Since)
	}
	for i := range s.Jobs {
		utc(&s.Jobs[i].CreatedAt, &s.Jobs[i].ScheduledAt, s.Jobs[i].AttemptedAt, s.Jobs[i].FinalizedAt)
	}
}
