package queue

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
)

func insertForFetch(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for _, sql := range []string{
		"insert into river_job (kind, args, queue, scheduled_at) select 'unknown', '{}', 'orders', now() - interval '1 hour' from generate_series(1, 50)",
		`insert into river_job (kind, args, queue, scheduled_at, priority, attempt, attempted_by) values
		 ('b', '{"n": 1}', 'orders', now() - interval '3 minutes', 2, 0, null),
		 ('a', '{"n": 2}', 'orders', now() - interval '2 minutes', 1, 1, '{before}'),
		 ('b', '{"n": 3}', 'orders', now() - interval '2 minutes', 1, 0, null),
		 ('a', '{"n": 4}', 'orders', now() + interval '1 hour', 1, 0, null),
		 ('a', '{"n": 5}', 'other', now() - interval '1 hour', 1, 0, null),
		 ('a', '{"n": 6}', 'orders', now() - interval '1 minute', 1, 0, null)`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFetchPastUnknownKindsTakesWhatRiversTakes(t *testing.T) {
	t.Parallel()
	params := &riverdriver.JobGetAvailableParams{ClientID: "taker", Kind: []string{"a", "b"}, MaxAttemptedBy: 100, MaxToLock: 3, Queue: "orders"}
	fetched := func(past bool) []*rivertype.JobRow {
		pool := pgtest.Pool(t)
		insertForFetch(t, pool)
		exec := riverpgxv5.New(pool).GetExecutor()
		fetch := exec.JobGetAvailable
		if past {
			fetch = func(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
				return fetchPast(ctx, exec, params)
			}
		}
		result, err := fetch(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(result.Jobs, func(a, b *rivertype.JobRow) int { return int(a.ID - b.ID) })
		return result.Jobs
	}
	stock, past := fetched(false), fetched(true)
	if len(stock) != 3 || len(past) != 3 {
		t.Fatalf("River fetched %d jobs, past unknown kinds %d were fetched, want 3", len(stock), len(past))
	}
	for i, want := range stock {
		got := past[i]
		if string(got.EncodedArgs) != string(want.EncodedArgs) || got.Kind != want.Kind || got.State != want.State || got.Attempt != want.Attempt ||
			!slices.Equal(got.AttemptedBy, want.AttemptedBy) || got.AttemptedAt == nil || got.Priority != want.Priority {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestOnlySlowFetchesInARowAreLookedInto(t *testing.T) {
	t.Parallel()
	const fast, slow = time.Millisecond, 10 * time.Millisecond
	for _, tc := range []struct {
		name    string
		took    []time.Duration
		fetched int
		want    bool
	}{
		{"fast ones do not", []time.Duration{fast, fast, fast, fast, fast, fast}, 0, false},
		{"one that is slow does not", []time.Duration{slow}, 0, false},
		{"slow ones that brought nothing do", []time.Duration{fast, slow, slow, slow, slow, slow}, 0, true},
		{"slow ones with a fast one between do not", []time.Duration{slow, slow, slow, fast, slow, slow}, 0, false},
		{"slow ones that brought many do not", []time.Duration{slow, slow, slow, slow, slow}, 1000, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var d detour
			suspicious := false
			for _, took := range tc.took {
				suspicious = d.judge("orders", took, tc.fetched)
				d.judge("reports", fast, 0)
			}
			if suspicious != tc.want {
				t.Errorf("suspicious = %v, want %v", suspicious, tc.want)
			}
		})
	}
}
