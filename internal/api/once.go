package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Idempotent is a request that may carry a key.
type Idempotent struct {
	Key string `header:"Idempotency-Key" maxLength:"255" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"Makes a repeated request harmless: the same key and body again answer what the first did." example:"4c0f6f7a-order-536365"`
}

// created is the answer to a request that creates, the same when it is repeated.
type created struct {
	Status   int    // of the first answer
	Location string `header:"Location" doc:"Where to follow it."`
	Replayed string `header:"Idempotency-Replayed" doc:"true when this is the answer to an earlier request with the same key."`
	Body     json.RawMessage
}

// outcome is what work has created, before it is encoded.
type outcome struct {
	status   int
	location string
	body     any
}

const lockKeySQL = `
select /* api.once */ pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', 'backoffice idempotency', $1::bigint, $2::text, $3::text), 0))`

// A statement later than the lock: it sees what the lock's last holder has committed.
const findAnswerSQL = `
select /* api.once */ body_sha256, status, location, body
  from idempotency_keys
 where api_key_id = $1
   and route = $2
   and key = $3`

const keepAnswerSQL = `
insert /* api.once */ into idempotency_keys (api_key_id, route, key, body_sha256, status, location, body)
values ($1, $2, $3, $4, $5, $6, $7)`

// once runs work in a transaction. With a key, the answer is kept in the same transaction, and a repeated
// request answers it and does nothing; while the first is at work, the others are told so instead of made
// to wait (errInFlight). Another body under the same key is errReused. A refused request keeps nothing.
func (a *API) once(ctx context.Context, route, key string, work func(pgx.Tx) (outcome, error)) (*created, error) {
	var answer *created
	err := a.write(ctx, func(tx pgx.Tx) error {
		answer = nil
		if key == "" {
			done, err := work(tx)
			if err != nil {
				return err
			}
			answer, err = done.encoded()
			return err
		}
		c := callOf(ctx)
		kept, err := findAnswer(ctx, tx, route, key)
		if err != nil || kept != nil {
			answer = kept
			return err
		}
		done, err := work(tx)
		if err != nil {
			return err
		}
		if answer, err = done.encoded(); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, keepAnswerSQL, c.caller.KeyID, route, key, c.bodySHA256[:], answer.Status, answer.Location, []byte(answer.Body))
		if err != nil {
			return fmt.Errorf("keep answer: %w", err)
		}
		return nil
	})
	return answer, err
}

// findAnswer takes the lock of a key and answers what is kept under it, nil when that is nothing.
func findAnswer(ctx context.Context, tx pgx.Tx, route, key string) (*created, error) {
	var (
		locked bool
		digest []byte
		kept   = &created{Replayed: "true"}
		c      = callOf(ctx)
	)
	batch := &pgx.Batch{}
	batch.Queue(lockKeySQL, c.caller.KeyID, route, key).QueryRow(func(row pgx.Row) error { return row.Scan(&locked) })
	batch.Queue(findAnswerSQL, c.caller.KeyID, route, key).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&digest, &kept.Status, &kept.Location, &kept.Body)
		if errors.Is(err, pgx.ErrNoRows) {
			kept = nil
			return nil
		}
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("look for idempotency key: %w", err)
	}
	switch {
	case kept != nil && !bytes.Equal(digest, c.bodySHA256[:]):
		return nil, refuse(errReused, "header.Idempotency-Key", "Idempotency-Key %q was used for another body; send the first body again, or a new key", key)
	case kept != nil:
		return kept, nil
	case !locked:
		return nil, refuse(errInFlight, "header.Idempotency-Key", "a request with Idempotency-Key %q is at work at this moment; repeat this one in a second", key)
	}
	return nil, nil
}

func (o outcome) encoded() (*created, error) {
	body, err := json.Marshal(o.body)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return &created{Status: o.status, Location: o.location, Body: body}, nil
}

const (
	keepKeys   = 48 * time.Hour // at least a day is promised
	sweepEvery = 10 * time.Minute
	sweepBatch = 1000
)

const deleteKeysSQL = `
delete /* api.Sweep */ from idempotency_keys
 where (api_key_id, route, key) in (
         select api_key_id, route, key
           from idempotency_keys
          where created_at < now() - $1::interval
          limit $2
            for update skip locked)`

// DeleteOldAnswers deletes what was kept for idempotency keys longer ago than keep, in small batches, and
// answers how much. Several processes may run it at once.
func DeleteOldAnswers(ctx context.Context, db postgres.DB, keep time.Duration) (int64, error) {
	var deleted int64
	for {
		tag, err := db.Exec(ctx, deleteKeysSQL, keep, sweepBatch)
		if err != nil {
			return deleted, fmt.Errorf("delete old idempotency keys: %w", err)
		}
		deleted += tag.RowsAffected()
		if tag.RowsAffected() < sweepBatch {
			return deleted, nil
		}
	}
}

// Sweep deletes old idempotency keys now and every ten minutes until ctx ends.
func Sweep(ctx context.Context, db postgres.DB, log *slog.Logger) {
	for {
		deleted, err := DeleteOldAnswers(ctx, db, keepKeys)
		switch {
		case err != nil && ctx.Err() == nil:
			log.ErrorContext(ctx, "idempotency keys not deleted", "error", err)
		case deleted > 0:
			log.InfoContext(ctx, "idempotency keys deleted", "count", deleted)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}
