// Package audit writes down what operators do and reads it back: who, what, when, on what. Enqueuing is
// not among it: a job is its own record. Who may do what is decided by the API's keys, not here.
package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Action is one thing that an operator did.
type Action struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"`                // key NAME, local, or cli USER@HOST
	APIKeyID  int64     `json:"api_key_id,omitempty"` // 0: no key
	Action    string    `json:"action"`               // a verb and its object: cancel_order
	Target    string    `json:"target"`               // order 41, job 123, queue orders
	Reason    string    `json:"reason,omitempty"`
	RequestID string    `json:"request_id,omitempty"` // stands in the API's access log, too
}

const writeSQL = `
insert /* audit.Write */ into audit_log (actor, api_key_id, action, target, reason, request_id)
values ($1, nullif($2::bigint, 0), $3, $4, nullif($5, ''), nullif($6, ''))`

// Write writes down an action in the transaction that performs it. ID and At are the database's.
func Write(ctx context.Context, tx pgx.Tx, a Action) error {
	if _, err := tx.Exec(ctx, writeSQL, a.Actor, a.APIKeyID, a.Action, a.Target, a.Reason, a.RequestID); err != nil {
		return fmt.Errorf("write down %s of %s: %w", a.Action, a.Target, err)
	}
	return nil
}

// Filter says which actions to list.
type Filter struct {
	Target string // all of them if empty
	After  int64  // the page after the one that ended with this id; 0: from the newest
	Limit  int
}

const listSQL = `
select /* audit.List */ id, at, actor, coalesce(api_key_id, 0), action, target, coalesce(reason, ''), coalesce(request_id, '')
  from audit_log
 where ($1 = '' or target = $1)
   and ($2 = 0 or id < $2)
 order by id desc
 limit $3`

// List answers actions, the newest first.
func List(ctx context.Context, db postgres.DB, f Filter) ([]Action, error) {
	rows, err := db.Query(ctx, listSQL, f.Target, f.After, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list actions of operators: %w", err)
	}
	actions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Action])
	if err != nil {
		return nil, fmt.Errorf("list actions of operators: %w", err)
	}
	for i := range actions {
		actions[i].At = actions[i].At.UTC()
	}
	return actions, nil
}
