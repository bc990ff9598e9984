package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// A dry run counts as errors what the run could not delete, so both are about the same set.
func TestADryRunPromisesWhatThisProcessCanDelete(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFile("postgres", 31)
	for n := range 4 {
		id, _ := s.tempFile("file", 40)
		if n == 0 {
			s.exec(`update temp_files set deleting_at = now() where id = $1`, id)
		}
	}
	s.stores = s.open("postgres:")
	dry := s.dryRun("temp-files")
	run := s.cleanBy(jobs.CleanUpArgs{Policy: "temp-files", Cutoff: &dry.Cutoff})
	for what, r := range map[string]cleanup.Run{"the dry run": dry, "the run": run} {
		if r.Rows != 1 || r.Errors != 4 || !strings.Contains(r.Error, "--store file:///DIR") || !r.SetHash.Equal(run.SetHash) {
			t.Errorf("%s says %+v, want 1 row, 4 errors and the cure", what, r)
		}
	}
}

// closed is a shop whose files cannot be deleted until they are opened again, not even by root.
func (s *shop) closed() *shop {
	s.t.Helper()
	if err := s.stores.Close(); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// An object that cannot be deleted though its row is marked keeps the row, until it can be.
func TestARowStaysAsLongAsItsObject(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, stays := s.tempFile("file", 31)
	_, goes := s.tempFile("postgres", 31)
	report, parts := s.artifact("file", 1)
	s.closed()
	for policy, rows := range map[string]int64{"temp-files": 1, "artifacts": 0} {
		if run := s.clean(policy); run.Rows != rows || run.Errors != 1 || !strings.Contains(run.Error, "file already closed") {
			t.Errorf("%s: the run says %+v, want %d rows and one error", policy, run, rows)
		}
	}
	if !s.has(stays) || s.has(goes) || !s.has(parts[0]) {
		t.Errorf("there is %s: %t, %s: %t, %s: %t", stays, s.has(stays), goes, s.has(goes), parts[0], s.has(parts[0]))
	}
	const marked = `select (select count(*) from temp_files where deleting_at is not null) || ' ' || (select count(*) from artifacts where deleting_at is not null) || ' ' || (select count(*) from artifact_parts)`
	if got := s.texts(marked); got != "1 1 2" {
		t.Errorf("marked temp files, marked artifacts and parts: %s, want 1 1 2", got)
	}
	s.stores = s.open("file://" + s.root)
	if run := s.clean("temp-files"); run.Rows != 1 || run.Errors != 0 || s.has(stays) {
		t.Errorf("once it can be deleted the run says %+v", run)
	}
	if run := s.clean("artifacts"); run.Rows != 1 || s.has(parts[0]) || s.texts(marked) != "0 0 0" {
		t.Errorf("artifact %d: once it can be deleted the run says %+v", report, run)
	}
}

// An attempt that is lost after it deleted an object writes nothing more: its row stays for the next.
func TestALostAttemptDeletesNoRow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, location := s.tempFile("file", 31)
	lost := errors.New("the attempt is lost")
	c := s.cleaner()
	c.Fence = func(ctx context.Context, work func(pgx.Tx) error) error {
		if !s.has(location) {
			return lost
		}
		return pgx.BeginFunc(ctx, s.pool, work)
	}
	if _, err := c.Run(t.Context(), argsOf("temp-files")); !errors.Is(err, lost) {
		t.Errorf("answers %v", err)
	}
	if n := one[int](s, `select count(*) from temp_files where deleting_at is not null`); n != 1 || s.has(location) {
		t.Errorf("%d marked rows are left; the object is there: %t", n, s.has(location))
	}
	if rows := one[int](s, `select rows from cleanup_runs`); rows != 0 {
		t.Errorf("the run counts %d rows", rows)
	}
}

// A transaction deletes few rows when they are large, and the run comes to the end of them.
func TestABatchOfLargeObjectsIsSmall(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, bytes, created_at) select 'postgres:t/' || n, 200 << 20, now() - interval '31 days' from generate_series(1, 3) n`)
	left, c := []string{}, s.cleaner()
	c.Fence = func(ctx context.Context, work func(pgx.Tx) error) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			var n int
			err := errors.Join(work(tx), tx.QueryRow(ctx, `select count(*) from temp_files`).Scan(&n))
			if text := fmt.Sprint(n); len(left) == 0 || left[len(left)-1] != text {
				left = append(left, text)
			}
			return err
		})
	}
	if _, err := c.Run(t.Context(), argsOf("temp-files")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(left, " "); got != "3 2 1 0" {
		t.Errorf("after the transactions %s rows are left, want 3 2 1 0", got)
	}
}

// beforeLock runs something just before each statement that locks rows for deletion: statement by statement, as
// a slow network may send them.
type beforeLock struct {
	pgx.Tx
	run func()
}

func (tx beforeLock) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	var failed error
	for _, query := range b.QueuedQueries {
		if strings.Contains(query.SQL, "for update of t skip locked") {
			tx.run()
		}
		if failed == nil {
			failed = tx.Tx.SendBatch(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{query}}).Close()
		}
	}
	return sent{err: failed}
}

type sent struct {
	pgx.BatchResults
	err error
}

func (s sent) Close() error { return s.err }

// A hold that is placed before the lock, however shortly, is seen: holds are looked for after it.
func TestAHoldJustBeforeTheLockIsSeen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFile("postgres", 31)
	_, location := s.tempFile("postgres", 31)
	var held error
	c, placed := s.cleaner(), false
	c.Fence = func(ctx context.Context, work func(pgx.Tx) error) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			return work(beforeLock{tx, func() {
				if !placed {
					placed, held = true, s.hold("temp_files", "2")
				}
			}})
		})
	}
	if _, err := c.Run(t.Context(), argsOf("temp-files")); err != nil || held != nil || !placed {
		t.Fatalf("answers %v; the hold is placed: %t, %v", err, placed, held)
	}
	if run := s.lastRun(); run.Rows != 1 || run.Held != 1 || !s.has(location) {
		t.Errorf("the run says %+v; the held object is there: %t", run, s.has(location))
	}
}

// The size of a large table is estimated: counting it would take longer than deleting.
func TestALargeTableIsEstimated(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into schedule_gaps (schedule, from_at, until_at, cause) select 's' || n, now() - interval '1 hour', now(), 'paused' from generate_series(1, 5000) n`)
	s.exec(`analyze schedule_gaps`)
	for countTo, want := range map[int]int64{4999: 5000, 100: 5000, 5000: 5000} {
		if n, err := cleanup.Total(t.Context(), s.pool, "schedule_gaps", countTo); err != nil || n != want {
			t.Errorf("counted to %d the table has %d rows (%v), want %d", countTo, n, err, want)
		}
	}
	s.exec(`delete from schedule_gaps`)
	s.exec(`insert into schedule_gaps (schedule, from_at, until_at, cause) values ('s', now() - interval '1 hour', now(), 'paused')`)
	if n, err := cleanup.Total(t.Context(), s.pool, "schedule_gaps", 10); err != nil || n != 1 { // whatever the statistics say
		t.Errorf("a table of one row has %d (%v)", n, err)
	}
}
