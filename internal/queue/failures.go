package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/postgres"
)

// Failure is jobs of one kind that failed in the same way; times are UTC.
type Failure struct {
	Kind          string     `json:"kind"`
	State         string     `json:"state"` // discarded (given up) or retryable
	Jobs          string     `json:"jobs"`  // how many: "12", "10,000+"
	LastError     string     `json:"last_error"`
	LastFailedAt  *time.Time `json:"last_failed_at"`
	NextAttemptAt *time.Time `json:"next_attempt_at"` // the first of them; null: given up
	SampleJobIDs  []int64    `json:"sample_job_ids"`  // the latest to fail, five at most
	RetryWith     string     `json:"retry_with"`      // the command that runs the sample again
}

const listFailuresSQL = `
select /* queue.ListFailures */ kind, state::text, jobs, last_error, last_failed_at, next_attempt_at, sample_job_ids, retry_with
  from inspect.failures
 limit $1`

// ListFailures answers at most limit causes for which jobs fail, those given up first, the latest first.
func ListFailures(ctx context.Context, db postgres.DB, limit int) ([]Failure, error) {
	rows, err := db.Query(ctx, listFailuresSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Failure])
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	for i := range found {
		f := &found[i]
		f.LastFailedAt, f.NextAttemptAt = inUTC(f.LastFailedAt), inUTC(f.NextAttemptAt)
	}
	return found, nil
}
