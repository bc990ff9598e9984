package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
)

// Statistics are gathered before the jobs that are then fetched, as they are before the first import, or
// when the planner knows of other kinds only. Nothing analyses the tables of a test by itself.
func TestTakeJobsFollowsItsIndexWhateverTheStatisticsSay(t *testing.T) {
	t.Parallel()
	const (
		unknown = "insert into river_job (kind, args, queue, scheduled_at) select 'unknown', '{}', 'orders', now() - interval '1 hour' from generate_series(1, 20000)"
		known   = "insert into river_job (kind, args, queue, scheduled_at) select 'known', '{}', 'orders', now() - interval '1 minute' from generate_series(1, 20000)"
		ended   = "update river_job set state = 'completed', finalized_at = now()"
		analyze = "analyze river_job"
	)
	for _, tc := range []struct {
		name  string
		steps []string
	}{
		{"never gathered", []string{unknown, known}},
		{"of an empty table", []string{analyze, unknown, known}},
		{"of another kind only, waiting", []string{unknown, analyze, known}},
		{"of another kind only, finished", []string{unknown, ended, analyze, unknown, known}},
		{"of one kind only", []string{known, analyze}},
		{"fresh", []string{unknown, known, analyze}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pool := connect(t, pgtest.URL(t))
			for _, sql := range tc.steps {
				_, err := pool.Exec(t.Context(), sql)
				must(t, err)
			}
			tx, err := pool.Begin(t.Context())
			must(t, err)
			defer tx.Rollback(t.Context())
			for call := range 8 { // from the sixth on the plan may be a generic one
				if taken := takeJobs(t, tx, 10); len(taken) != 10 {
					t.Fatalf("call %d took %d jobs, want 10", call+1, len(taken))
				}
			}
			if read := entriesRead(t, tx, "river_job_available_kind"); read == 0 || read > 8*10*8 {
				t.Errorf("80 jobs were taken by reading %d entries of river_job_available_kind", read)
			}
			for _, other := range []string{"river_job_prioritized_fetching_index", "river_job_kind"} {
				if read := entriesRead(t, tx, other); read > 0 {
					t.Errorf("%d entries of %s were read, want none", read, other)
				}
			}
		})
	}
}

func takeJobs(t *testing.T, tx pgx.Tx, most int) []int64 {
	t.Helper()
	rows, err := tx.Query(t.Context(), "select id from backoffice.take_jobs('orders', '{known,other}', $1, 'taker', 100) taken (id)", most)
	must(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	must(t, err)
	return ids
}

// entriesRead counts what the transaction read of an index so far.
func entriesRead(t *testing.T, tx pgx.Tx, index string) (read int64) {
	t.Helper()
	must(t, tx.QueryRow(t.Context(), "select pg_stat_get_xact_tuples_returned($1::regclass)", index).Scan(&read))
	return read
}
