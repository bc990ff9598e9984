package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"backoffice/internal/postgres"
)

// Hold keeps a row from being deleted, whatever its age, until it is removed.
type Hold struct {
	Target   string    `json:"target"` // the table
	Key      string    `json:"key"`    // the row's key as text
	Reason   string    `json:"reason"`
	PlacedBy string    `json:"placed_by"`
	PlacedAt time.Time `json:"placed_at"`
}

// longestReason is what the table takes, in bytes.
const longestReason = 1000

// The row is locked until the hold is committed, so that a batch that would delete it sees either none of
// it and is seen, or all.
const (
	lockRowSQL = `
select /* cleanup.PlaceHold */ null::timestamptz
  from {table} t
 where {key} = $1
   for update of t`
	lockMarkedRowSQL = `
select /* cleanup.PlaceHold */ t.deleting_at
  from {table} t
 where {tie} = $1::text::{tieType}
   for update of t`
)

const placeHoldSQL = `
insert /* cleanup.PlaceHold */ into holds (target, key, reason, placed_by)
values ($1, $2, $3, $4)
    on conflict (target, key) do nothing
returning target, key, reason, placed_by, placed_at`

// PlaceHold keeps a row: once tx commits, no cleanup deletes it. ErrNotFound: there is no such row, or no
// more; ErrDeleting: it was marked before; ErrHeld: a hold is there; ErrInvalid: no reason, or too long a
// one. tx is best short: meanwhile cleanup passes the row by.
func PlaceHold(ctx context.Context, tx pgx.Tx, h Hold) (Hold, error) {
	t, err := targetOf(h.Target)
	if err != nil {
		return Hold{}, err
	}
	switch {
	case h.Reason == "" || len(h.Reason) > longestReason:
		return Hold{}, say(ErrInvalid, "a hold wants a reason of 1 to %d bytes, so that somebody can tell when to remove it", longestReason)
	case h.PlacedBy == "":
		return Hold{}, say(ErrInvalid, "a hold wants the name of whoever places it")
	}
	if err := lockRow(ctx, tx, t, h.Key); err != nil {
		return Hold{}, err
	}
	found, err := tx.Query(ctx, placeHoldSQL, h.Target, h.Key, h.Reason, h.PlacedBy)
	if err != nil {
		return Hold{}, fmt.Errorf("place a hold on %s %s: %w", h.Target, h.Key, err)
	}
	placed, err := pgx.CollectExactlyOneRow(found, pgx.RowToStructByPos[Hold])
	if errors.Is(err, pgx.ErrNoRows) {
		return Hold{}, heldAlready(ctx, tx, h)
	}
	if err != nil {
		return Hold{}, fmt.Errorf("place a hold on %s %s: %w", h.Target, h.Key, err)
	}
	return placed, nil
}

func lockRow(ctx context.Context, tx pgx.Tx, t target, key string) error {
	missing := say(ErrNotFound, "%s %s: there is no such row", t.table, key)
	statement := lockRowSQL
	if t.objects {
		statement = lockMarkedRowSQL
	}
	var deleting *time.Time
	err := tx.QueryRow(ctx, t.sql(statement), key).Scan(&deleting)
	var refusal *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return missing
	case errors.As(err, &refusal) && (refusal.Code == "22P02" || refusal.Code == "22003"): // no number, or none that fits
		return missing
	case err != nil:
		return fmt.Errorf("lock %s %s: %w", t.table, key, err)
	case deleting != nil:
		return say(ErrDeleting, "%s %s is already being deleted since %s; a hold comes too late", t.table, key, deleting.UTC().Format(time.RFC3339))
	}
	return nil
}

const getHoldSQL = `
select /* cleanup.PlaceHold */ target, key, reason, placed_by, placed_at
  from holds
 where target = $1
   and key = $2`

func heldAlready(ctx context.Context, tx pgx.Tx, h Hold) error {
	found, err := tx.Query(ctx, getHoldSQL, h.Target, h.Key)
	if err != nil {
		return fmt.Errorf("read the hold on %s %s: %w", h.Target, h.Key, err)
	}
	there, err := pgx.CollectExactlyOneRow(found, pgx.RowToStructByPos[Hold])
	if err != nil {
		return fmt.Errorf("read the hold on %s %s: %w", h.Target, h.Key, err)
	}
	return say(ErrHeld, "%s %s is held already, since %s by %s: %s", there.Target, there.Key,
		there.PlacedAt.UTC().Format(time.RFC3339), there.PlacedBy, there.Reason)
}

const removeHoldSQL = `
delete /* cleanup.RemoveHold */ from holds
 where target = $1
   and key = $2
returning target, key, reason, placed_by, placed_at`

// RemoveHold lets a row go with its age again, and answers the hold that there was. ErrNotFound: there is none.
func RemoveHold(ctx context.Context, tx pgx.Tx, targetName, key string) (Hold, error) {
	found, err := tx.Query(ctx, removeHoldSQL, targetName, key)
	if err != nil {
		return Hold{}, fmt.Errorf("remove the hold on %s %s: %w", targetName, key, err)
	}
	removed, err := pgx.CollectExactlyOneRow(found, pgx.RowToStructByPos[Hold])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Hold{}, say(ErrNotFound, "%s %s: there is no hold on it", targetName, key)
	case err != nil:
		return Hold{}, fmt.Errorf("remove the hold on %s %s: %w", targetName, key, err)
	}
	return removed, nil
}

const listHoldsSQL = `
select /* cleanup.ListHolds */ target, key, reason, placed_by, placed_at
  from holds
 where $1 = ''
    or target = $1
 order by placed_at desc, id desc
 limit $2`

// ListHolds answers at most limit holds on rows of a target ("": of any), the newest first.
func ListHolds(ctx context.Context, db postgres.DB, targetName string, limit int) ([]Hold, error) {
	if names := targetNames(); targetName != "" && !slices.Contains(names, targetName) {
		return nil, say(ErrInvalid, "target %q is none that rows are deleted from; known are %s", targetName, strings.Join(names, ", "))
	}
	found, err := db.Query(ctx, listHoldsSQL, targetName, limit)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	holds, err := pgx.CollectRows(found, pgx.RowToStructByPos[Hold])
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	return holds, nil
}
