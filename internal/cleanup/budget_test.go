package cleanup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// inSteps lets a job make one step a call, for its time is always up, until there is no more, and answers
// its runs.
func (s *shop) inSteps(c *cleanup.Cleaner, args jobs.CleanUpArgs, most int) []cleanup.Run {
	s.t.Helper()
	c.JobID, c.Budget = 41, time.Nanosecond
	for calls := 1; ; calls++ {
		outcome, err := c.Run(s.t.Context(), args)
		if err != nil || len(outcome.Refused) > 0 {
			s.t.Fatalf("call %d answers %+v, %v", calls, outcome, err)
		}
		if !outcome.More {
			break
		}
		if calls == most {
			s.t.Fatalf("after %d calls there is more: %s", calls, one[string](s, `select string_agg(r::text, '; ') from cleanup_runs r where job_id = 41`))
		}
	}
	runs, err := cleanup.RunsOf(s.t.Context(), s.pool, 41)
	if err != nil {
		s.t.Fatal(err)
	}
	return runs
}

// A check that takes longer than the budget is made once, in steps where it can be, and what it lets pass goes.
func TestACheckLongerThanTheBudgetComesToItsEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.dryRun("artifacts")
	s.exec(`insert into stored_objects (path, bytes, created_at) select 'o/' || n, 7, now() - interval '2 days' from generate_series(1, 3100) n`)
	s.exec(`insert into temp_files (location, created_at) select 'postgres:o/' || n, now() - make_interval(days => n % 2 * 31) from generate_series(1, 3000) n`)
	for range 2 {
		s.tempFile("file", 1)
	}
	s.exec(`update retention_policies set enabled = name in ('orphans', 'temp-files'), max_share = 0.6, batch_size = 100`)
	runs := s.inSteps(s.cleaner(), jobs.CleanUpArgs{}, 200)
	if len(runs) != 2 || runs[0].Rows != 100 || runs[1].Rows != 1500 {
		t.Errorf("the runs are %+v", runs)
	}
	if n := one[int](s, `select counted from cleanup_runs where policy = 'orphans' and job_id = 41`); n != 3102 {
		t.Errorf("%d objects were counted, want each of the 3102 once", n)
	}
}

// What is refused by a check in steps is as refused.
func TestACheckInStepsRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into stored_objects (path, bytes, created_at) select 'o/' || n, 7, now() - interval '2 days' from generate_series(1, 2500) n`)
	c := s.cleaner()
	c.JobID, c.Budget = 41, time.Nanosecond
	for calls := 1; ; calls++ {
		outcome, err := c.Run(t.Context(), argsOf("orphans"))
		if err != nil || calls > 10 {
			t.Fatalf("call %d answers %+v, %v", calls, outcome, err)
		}
		if outcome.More {
			continue
		}
		if len(outcome.Refused) != 1 || !strings.Contains(outcome.Refused[0], "more than 1250 of 2500 objects") {
			t.Errorf("call %d answers %+v", calls, outcome)
		}
		break
	}
	if n := one[int](s, `select count(*) from stored_objects`); n != 2500 {
		t.Errorf("%d objects are left", n)
	}
}

// Old rows do not wait for those that fail again and again, which are looked at, and counted, once in a run.
func TestMarkedRowsThatFailKeepNoneWaiting(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for range 30 {
		s.tempFile("file", 31)
	}
	s.exec(`update temp_files set deleting_at = now()`)
	_, old := s.tempFile("postgres", 31)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set batch_size = 7`)
	s.stores = s.open("postgres:")
	c := s.cleaner()
	c.JobID, c.Budget = 41, time.Nanosecond
	if outcome, err := c.Run(t.Context(), argsOf("temp-files")); err != nil || !outcome.More || s.has(old) {
		t.Errorf("the first call answers %+v, %v; the old object is there: %t", outcome, err, s.has(old))
	}
	if runs := s.inSteps(c, argsOf("temp-files"), 100); len(runs) != 1 || runs[0].Rows != 1 || runs[0].Errors != 30 {
		t.Errorf("the runs are %+v, want 1 row and 30 errors", runs)
	}
	if n := one[int](s, `select count(*) from temp_files where deleting_at is not null`); n != 30 {
		t.Errorf("%d marked rows are left", n)
	}
}

// However slow a store is to delete: the time is looked at after each row, and the rest of the batch stays
// marked until the end of the run.
func TestTheTimeIsLookedAtWithinABatch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 9 {
		s.tempFile("file", 31)
		s.aged("file:lost/"+string(rune('a'+n)), 48)
	}
	s.dryRun("artifacts")
	s.exec(`update retention_policies set enabled = name in ('orphans', 'temp-files')`)
	c := s.cleaner()
	c.JobID, c.Budget = 42, time.Nanosecond
	for _, policy := range []string{"temp-files", "orphans"} {
		for one[int](s, `select coalesce(sum(rows), 0)::int from cleanup_runs where policy = $1`, policy) == 0 {
			if outcome, err := c.Run(t.Context(), argsOf(policy)); err != nil || !outcome.More {
				t.Fatalf("%s: answers %+v, %v", policy, outcome, err)
			}
		}
		if n := one[int](s, `select sum(rows)::int from cleanup_runs where policy = $1`, policy); n > 2 { // of the batch, and of what is marked
			t.Errorf("%s: %d rows went in the first step", policy, n)
		}
	}
	s.inSteps(s.cleaner(), jobs.CleanUpArgs{}, 100)
	if n := one[int](s, `select sum(rows)::int from cleanup_runs`); n != 18 {
		t.Errorf("%d rows went, want all 18", n)
	}
}

// An error of one policy is told together with More: it is met again, and the others go on.
func TestAnErrorDoesNotHideThatThereIsMore(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for range 3 {
		s.tempFile("postgres", 31)
	}
	s.artifact("postgres", 1)
	s.exec(`create function refuse() returns trigger language plpgsql as 'begin raise exception ''not yours''; end'`)
	s.exec(`create trigger refuse before delete on artifacts for each row execute function refuse()`)
	s.dryRun("temp-files")
	s.exec(`update retention_policies set batch_size = 1, enabled = name in ('artifacts', 'temp-files')`)
	c := s.cleaner()
	c.JobID, c.Budget = 41, time.Nanosecond
	outcome, err := c.Run(t.Context(), jobs.CleanUpArgs{})
	if err == nil || !strings.Contains(err.Error(), "clean up by policy artifacts: ") || !outcome.More {
		t.Errorf("the first call answers %+v, %v; want more, and the error", outcome, err)
	}
	c.Budget = 0
	outcome, err = c.Run(t.Context(), jobs.CleanUpArgs{})
	if err == nil || outcome.More || one[int](s, `select count(*) from temp_files`) != 0 {
		t.Errorf("the second call answers %+v, %v", outcome, err)
	}
}

// A job that is run again after its end begins anew.
func TestAClosedRunIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.cleaner()
	c.JobID = 41
	for n := range 2 {
		_, location := s.tempFile("postgres", 31)
		_, err := c.Run(t.Context(), argsOf("temp-files"))
		if err = errors.Join(err, pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error { return cleanup.Close(t.Context(), tx, 41) })); err != nil {
			t.Fatal(err)
		}
		runs, err := cleanup.RunsOf(t.Context(), s.pool, 41)
		if err != nil || len(runs) != n+1 || s.has(location) {
			t.Errorf("after %d rounds the runs are %+v (%v), and the object is there: %t", n+1, runs, err, s.has(location))
		}
	}
}
