package cleanup_test

import (
	"testing"
	"time"

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
