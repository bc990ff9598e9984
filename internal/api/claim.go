package api

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// claim is what one request wants under its idempotency key, and what came of that.
type claim struct {
	callerID   int64
	key        string // empty: none, and nothing is kept
	bodySHA256 [32]byte

	answer  *created // an earlier request's, or this one's
	refused error    // errInFlight or errReused
}

func claimOf(ctx context.Context, key string) *claim {
	c := callOf(ctx)
	return &claim{callerID: c.caller.KeyID, key: key, bodySHA256: c.bodySHA256}
}

const lockKeysSQL = `
select /* api.claim */ pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', 'backoffice idempotency', api_key_id, $1::text, key), 0))
  from unnest($2::bigint[], $3::text[]) with ordinality as given(api_key_id, key, n)
 order by n`

// A statement later than the locks: it sees what the locks' last holders have committed. The limit keeps
// each key a look-up of its own; as a join, a plan made for an empty table reads all keys of the route.
const findAnswersSQL = `
select /* api.claim */ given.n, kept.body_sha256, kept.status, kept.location, kept.body
  from unnest($2::bigint[], $3::text[]) with ordinality as given(api_key_id, key, n)
 cross join lateral (
         select body_sha256, status, location, body
           from idempotency_keys k
          where k.api_key_id = given.api_key_id
            and k.route = $1
            and k.key = given.key
          limit 1) kept`

// findAnswers takes the locks of the claims' keys and gives each claim what is kept under its key, or the
// refusal. It answers those that are left with neither: they are to be worked. Of two claims under one
// key the second is refused, as if the first were at work elsewhere.
func findAnswers(ctx context.Context, tx pgx.Tx, route string, claims []*claim) (open []*claim, err error) {
	var (
		keyed   []*claim
		callers []int64
		keys    []string
	)
	taken := map[claim]bool{}
	for _, c := range claims {
		c.answer, c.refused = nil, nil // an earlier try of the transaction may have left something
		same := claim{callerID: c.callerID, key: c.key}
		switch {
		case c.key == "":
		case taken[same]:
			c.refused = inFlight(c.key)
		default:
			taken[same] = true
			keyed, callers, keys = append(keyed, c), append(callers, c.callerID), append(keys, c.key)
		}
	}
	if len(keyed) > 0 {
		if err := lookUp(ctx, tx, route, keyed, callers, keys); err != nil {
			return nil, fmt.Errorf("look for idempotency keys: %w", err)
		}
	}
	for _, c := range claims {
		if c.answer == nil && c.refused == nil {
			open = append(open, c)
		}
	}
	return open, nil
}

func inFlight(key string) error {
	return refuse(errInFlight, "header.Idempotency-Key", "a request with Idempotency-Key %q is at work at this moment; repeat this one in a second", key)
}

// lookUp finds out about claims whose keys differ, in one round trip.
func lookUp(ctx context.Context, tx pgx.Tx, route string, claims []*claim, callers []int64, keys []string) error {
	batch := &pgx.Batch{}
	batch.Queue(lockKeysSQL, route, callers, keys).Query(func(rows pgx.Rows) error {
		locked, err := pgx.CollectRows(rows, pgx.RowTo[bool])
		for i, mine := range locked {
			if !mine {
				claims[i].refused = inFlight(keys[i])
			}
		}
		return err
	})
	batch.Queue(findAnswersSQL, route, callers, keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var (
				n      int
				digest []byte
				kept   = created{Replayed: "true"}
			)
			if err := rows.Scan(&n, &digest, &kept.Status, &kept.Location, &kept.Body); err != nil {
				return err
			}
			claims[n-1].found(digest, kept)
		}
		return rows.Err()
	})
	return tx.SendBatch(ctx, batch).Close()
}

// found takes note of the answer to an earlier request with the same key, whoever holds the lock now.
func (c *claim) found(digest []byte, kept created) {
	c.answer, c.refused = &kept, nil
	if !bytes.Equal(digest, c.bodySHA256[:]) {
		c.answer = nil
		c.refused = refuse(errReused, "header.Idempotency-Key", "Idempotency-Key %q was used for another body; send the first body again, or a new key", c.key)
	}
}

const keepAnswersSQL = `
insert /* api.claim */ into idempotency_keys (api_key_id, route, key, body_sha256, status, location, body)
select api_key_id, $1, key, body_sha256, status, location, body
  from unnest($2::bigint[], $3::text[], $4::bytea[], $5::integer[], $6::text[], $7::bytea[])
       as kept(api_key_id, key, body_sha256, status, location, body)`

// keepAnswers stores the answers of the claims that have a key.
func keepAnswers(ctx context.Context, tx pgx.Tx, route string, claims []*claim) error {
	var (
		callers         []int64
		keys, locations []string
		digests, bodies [][]byte
		statuses        []int32
	)
	for _, c := range claims {
		if c.key == "" {
			continue
		}
		callers, keys, digests = append(callers, c.callerID), append(keys, c.key), append(digests, c.bodySHA256[:])
		statuses, locations, bodies = append(statuses, int32(c.answer.Status)), append(locations, c.answer.Location), append(bodies, c.answer.Body)
	}
	if len(keys) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, keepAnswersSQL, route, callers, keys, digests, statuses, locations, bodies); err != nil {
		return fmt.Errorf("keep answers: %w", err)
	}
	return nil
}
