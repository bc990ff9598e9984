package cleanup_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/jobs"
)

// Each object is looked at once, wherever the time was up: of a dry run, and of one that can delete nothing, all
// are still there.
func TestASweepInStepsLooksAtEachObjectOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 10 {
		s.aged(fmt.Sprintf("%s:lost/%d", stores[n%2], n), 25)
	}
	s.aged("file:young", 1)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set batch_size = 3 where name = 'orphans'`)
	s.exec(`create function refuse() returns trigger language plpgsql as 'begin raise exception ''not yours''; end'`)
	s.exec(`create trigger refuse before delete on stored_objects for each row execute function refuse()`)
	for _, tc := range []struct {
		args         jobs.CleanUpArgs
		rows, errors int64
	}{{jobs.CleanUpArgs{Policy: "orphans", DryRun: true}, 10, 0}, {argsOf("orphans"), 5, 5}} {
		if runs := s.inSteps(s.cleaner(), tc.args, 30); len(runs) != 1 || runs[0].Rows != tc.rows || runs[0].Errors != tc.errors {
			t.Errorf("%+v: the runs are %+v, want %d rows and %d errors", tc.args, runs, tc.rows, tc.errors)
		}
		s.exec(`update cleanup_runs set job_id = null`)
	}
}

// A store is listed in ever larger pages, but for one that is slow.
func TestPagesGrowAsLongAsTheyAreQuick(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into stored_objects (path, bytes) select 'o/' || n, 7 from generate_series(1, 7500) n`)
	var counted []int
	c := s.cleaner()
	c.Fence = func(ctx context.Context, work func(pgx.Tx) error) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if err := work(tx); err != nil {
				return err
			}
			var n int
			if err := tx.QueryRow(ctx, `select counted from cleanup_runs`).Scan(&n); err != nil || n == 0 || slices.Contains(counted, n) {
				return err
			}
			if counted = append(counted, n); n > 1000 {
				return nil
			}
			_, err := tx.Exec(ctx, `select pg_sleep(1.01)`) // the first page is slow
			return err
		})
	}
	if _, err := c.Run(t.Context(), argsOf("orphans")); err != nil {
		t.Fatal(err)
	}
	if len(counted) < 3 || counted[0] != 1000 || counted[1] != 2000 || len(counted) > 7 || counted[len(counted)-1] != 7500 {
		t.Errorf("after the pages %v objects were counted, want 1000, 2000, and then more of the 7500 at a time", counted)
	}
}
