package api

import (
	"context"
	"encoding/json"
	"fmt"

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

// once runs work in a transaction. With a key, the answer is kept in the same transaction, and a repeated
// request answers it and does nothing; while the first is at work, the others are told so instead of made
// to wait (errInFlight). Another body under the same key is errReused. A refused request keeps nothing.
func (a *API) once(ctx context.Context, route, key string, work func(pgx.Tx) (outcome, error)) (*created, error) {
	c := claimOf(ctx, key)
	err := postgres.InTxBegunBy(ctx, a.Pool, beginByKey, func(tx pgx.Tx) error {
		open, err := findAnswers(ctx, tx, route, []*claim{c})
		if err != nil || len(open) == 0 {
			return err
		}
		done, err := work(tx)
		if err != nil {
			return err
		}
		if c.answer, err = done.encoded(); err != nil {
			return err
		}
		return keepAnswers(ctx, tx, route, open)
	})
	if err == nil {
		err = c.refused
	}
	if err != nil {
		return nil, err
	}
	return c.answer, nil
}

func (o outcome) encoded() (*created, error) {
	body, err := json.Marshal(o.body)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return &created{Status: o.status, Location: o.location, Body: body}, nil
}
