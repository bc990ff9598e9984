package cleanup_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// A run that has begun without a cap, or dry, is not asked in its midst: something was deleted by then.
func TestASafetyCapThatIsSetLaterIsThatOfTheNextRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, created_at) select 'postgres:t/' || n, now() - interval '31 days' from generate_series(1, 200) n`)
	if err := s.hold("temp_files", "1"); err != nil {
		t.Fatal(err)
	}
	s.dryRun("artifacts")
	for _, args := range []jobs.CleanUpArgs{{Policy: "temp-files", DryRun: true}, {Policy: "temp-files"}} {
		s.exec(`update retention_policies set max_share = 1, batch_size = 40 where name = 'temp-files'`)
		c := s.failingAt(-1)
		c.Budget = time.Nanosecond
		if outcome, err := c.Run(t.Context(), args); err != nil || !outcome.More {
			t.Fatalf("%+v: the first call answers %+v, %v", args, outcome, err)
		}
		s.exec(`update retention_policies set max_share = 0.1 where name = 'temp-files'`)
		if run := s.runOf(args); run.Refused || run.Rows != 199 || run.Held != 1 {
			t.Errorf("%+v: the run says %+v, want 199 rows and one held", args, run)
		}
	}
	s.aged("file:lost/1", 25)
	s.exec(`update retention_policies set max_share = 1 where name = 'orphans'`)
	if run := s.clean("orphans"); run.Rows != 1 || one[int](s, `select counted from cleanup_runs where id = $1`, run.ID) != 0 {
		t.Errorf("the run says %+v, and counted objects for a cap that there is not", run)
	}
}

// A hold keeps its row, so that it is no part of what a run would delete.
func TestASafetyCapLeavesOutWhatIsHeld(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, created_at) select 'postgres:t/' || n, now() - make_interval(days => case when n <= 150 then 31 else 1 end) from generate_series(1, 200) n`)
	s.exec(`insert into holds (target, key, reason, placed_by) select 'temp_files', n::text, 'lawsuit 7', 'anna' from generate_series(1, 50) n`)
	s.exec(`insert into holds (target, key, reason, placed_by) select 'artifacts', n::text, 'lawsuit 7', 'anna' from generate_series(51, 400) n`)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set max_share = 0.3 where name = 'temp-files'`)
	if run := s.clean("temp-files"); run.Rows != 100 || run.Held != 50 {
		t.Errorf("the run says %+v, want 100 rows and 50 held", run)
	}
	s.exec(`delete from holds where target = 'temp_files' and key = '1'`)
	s.exec(`update temp_files set created_at = now() - interval '31 days'`)
	if outcome, err := s.tryClean(argsOf("temp-files")); err != nil || len(outcome.Refused) != 0 {
		t.Errorf("with 51 that nobody holds answers %+v, %v", outcome, err)
	}
	s.exec(`insert into temp_files (location, created_at) select 'postgres:u/' || n, now() - interval '31 days' from generate_series(1, 101) n`)
	if outcome, err := s.tryClean(argsOf("temp-files")); err != nil || len(outcome.Refused) != 1 {
		t.Errorf("with 101 that nobody holds answers %+v, %v", outcome, err)
	}
}

// The check of a large table ends once it has met one row too many.
func TestASafetyCapReadsNoMoreThanOneRowTooMany(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, created_at) select 'postgres:t/' || n, now() - interval '31 days' from generate_series(1, 20000) n`)
	s.exec(`insert into holds (target, key, reason, placed_by) select 'artifacts', n::text, 'lawsuit 7', 'anna' from generate_series(1, 20000) n`)
	s.exec(`analyze temp_files, holds`)
	count, err := cleanup.ExpiredSQL("temp_files")
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.pool.Query(t.Context(), "explain (analyze, costs off, timing off, summary off) "+count, time.Now(), 101)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range plan {
		if strings.Contains(node, "on temp_files") && !strings.Contains(node, "rows=101") || strings.Contains(node, "Seq Scan on holds") {
			t.Errorf("reads more than 101 rows: %s\nof %s", node, strings.Join(plan, "\n"))
		}
	}
}
