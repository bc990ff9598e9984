package workers_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/cleanup"
	"backoffice/internal/pgtest"
	"backoffice/internal/store"
	"backoffice/jobs"
	"backoffice/workers"
)

// A policy that fails takes no attempt from the others: the job is put off as long as there is more, and
// fails when there is not.
func TestCleanUpGoesOnThoughAPolicyFails(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	stores, err := store.Open(t.Context(), "postgres:", pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := cleanup.AddMissingPolicies(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	_, err = pool.Exec(t.Context(), `
insert into temp_files (location, created_at) select 'postgres:t/' || n, now() - interval '31 days' from generate_series(1, 2) n;
insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at)
values (1, 'text/csv', 'a.csv', 0, 0, sha256(''), 0, '1s', now() - interval '1 day');
create function refuse() returns trigger language plpgsql as 'begin raise exception ''not yours''; end';
create trigger refuse before delete on artifacts for each row execute function refuse();
update retention_policies set batch_size = 1, enabled = name in ('artifacts', 'temp-files')`)
	if err != nil {
		t.Fatal(err)
	}
	job := &river.Job[jobs.CleanUpArgs]{JobRow: &rivertype.JobRow{Attempt: 1, AttemptedAt: new(time.Time)}}
	err = pool.QueryRow(t.Context(), `
insert into river_job (kind, queue, max_attempts, args, state, attempt, attempted_at, attempted_by)
values ('clean_up', 'maintenance', 5, '{}', 'running', 1, now(), '{test}')
returning id, attempted_at`).Scan(&job.ID, job.AttemptedAt)
	if err != nil {
		t.Fatal(err)
	}
	worker := workers.CleanUpWorker{Deps: workers.Deps{Pool: pool, Stores: stores, Log: slog.New(slog.DiscardHandler)}, Budget: time.Nanosecond}
	var snooze *rivertype.JobSnoozeError
	if err := worker.Work(t.Context(), job); !errors.As(err, &snooze) {
		t.Errorf("while there is more, the job answers %v; want that it is put off", err)
	}
	worker.Budget = 0
	if err := worker.Work(t.Context(), job); err == nil || errors.As(err, &snooze) {
		t.Errorf("in the end the job answers %v, want the error of the policy", err)
	}
	var left int
	if err := pool.QueryRow(t.Context(), `select count(*) from temp_files`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d temp files are left (%v)", left, err)
	}
}
