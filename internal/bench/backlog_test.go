package bench

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestOnlyFetchesThatBroughtJobsAreTimed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		sql  string
		tag  string
		err  error
		want int
	}{
		{"River's fetch", "-- name: JobGetAvailable :many", "UPDATE 3", nil, 1},
		{"our own fetch", "select /* queue.fetch */ 1", "SELECT 1", nil, 1},
		{"one that found nothing", "-- name: JobGetAvailable :many", "UPDATE 0", nil, 0},
		{"one that failed", "-- name: JobGetAvailable :many", "UPDATE 3", errors.New("gone"), 0},
		{"a completion", "-- name: JobSetStateIfRunningMany :many", "SELECT 3", nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var timer fetchTimer
			ctx := timer.TraceQueryStart(context.Background(), nil, pgx.TraceQueryStartData{SQL: tc.sql})
			timer.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{CommandTag: pgconn.NewCommandTag(tc.tag), Err: tc.err})
			if got := len(timer.all()); got != tc.want {
				t.Errorf("%d fetches timed, want %d", got, tc.want)
			}
		})
	}
}
