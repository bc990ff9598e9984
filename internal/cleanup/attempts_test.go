package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// failingAt is a cleaner of a job whose nth transaction from now on, and no other, fails.
func (s *shop) failingAt(n int) *cleanup.Cleaner {
	c := s.cleaner()
	c.JobID = 41
	c.Fence = func(ctx context.Context, work func(pgx.Tx) error) error {
		if n--; n == 0 {
			return errors.New("the connection was cut")
		}
		return pgx.BeginFunc(ctx, s.pool, work)
	}
	return c
}

// runOf lets the job of failingAt come to its end, and answers its run.
func (s *shop) runOf(args jobs.CleanUpArgs) cleanup.Run {
	s.t.Helper()
	if outcome, err := s.failingAt(-1).Run(s.t.Context(), args); err != nil || outcome.More || len(outcome.Refused) > 0 {
		s.t.Fatalf("the last attempt answers %+v, %v", outcome, err)
	}
	runs, err := cleanup.RunsOf(s.t.Context(), s.pool, 41)
	if err != nil || len(runs) != 1 {
		s.t.Fatalf("runs %v, %v", runs, err)
	}
	s.exec(`update cleanup_runs set job_done = true`)
	s.exec(`update cleanup_runs set job_id = null`)
	return runs[0]
}

// Of objects without a row only a dry run can promise it: nothing tells of one that is gone.
func TestARowIsCountedOnceHoweverManyAttemptsFail(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 12 {
		id, _ := s.tempFile(stores[n%2], 31)
		if n%5 == 0 {
			if err := s.hold("temp_files", fmt.Sprint(id)); err != nil {
				t.Fatal(err)
			}
		}
		s.aged(fmt.Sprintf("file:lost/%d", n), 48)
	}
	s.exec(`update temp_files set deleting_at = now() where id in (2, 4)`) // in files, and not held
	s.dryRun("artifacts")
	s.exec(`update retention_policies set batch_size = 3`)
	for _, args := range []jobs.CleanUpArgs{{Policy: "temp-files", DryRun: true}, {Policy: "orphans", DryRun: true}, {Policy: "temp-files"}} {
		for n := 2; n <= 4; n++ {
			if _, err := s.failingAt(n).Run(t.Context(), args); err == nil {
				t.Fatalf("%+v: transaction %d did not fail", args, n)
			}
		}
		run := s.runOf(args)
		want := map[string]int64{"temp-files": 9, "orphans": 12}[args.Policy]
		if run.Rows != want || run.Policy == "temp-files" && run.Held != 3 {
			t.Errorf("%+v: the run says %d rows, %d held; want %d, 3", args, run.Rows, run.Held, want)
		}
	}
}

// Whatever goes wrong before anything was deleted, the next attempt asks whether so much may go.
func TestASafetyCapIsAskedByALaterAttemptAsWell(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, created_at) select 'postgres:t/' || n, now() - interval '31 days' from generate_series(1, 200) n`)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set max_share = 0.7 where name = 'temp-files'`)
	// As a process leaves it that dies when it has begun.
	s.exec(`insert into cleanup_runs (policy, target, job_id, cutoff) values ('temp-files', 'temp_files', 41, now() - interval '30 days')`)
	args := jobs.CleanUpArgs{Policy: "temp-files"}
	if outcome, err := s.failingAt(2).Run(t.Context(), args); err == nil { // the one that writes the refusal down
		t.Errorf("a refusal that is not written down answers %+v", outcome)
	}
	outcome, err := s.failingAt(-1).Run(t.Context(), args)
	if err != nil || len(outcome.Refused) != 1 {
		t.Errorf("the next attempt answers %+v, %v", outcome, err)
	}
	if n := one[int](s, `select count(*) from temp_files`); n != 200 {
		t.Errorf("%d rows are left", n)
	}
}

// A policy that was refused before the time was up is still refused when the job goes on.
func TestARefusalOutlivesTheAttempt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFile("file", 31)
	s.exec(`insert into retention_policies (name, target, age) values ('a-table-of-tomorrow', 'tomorrow', '1 day')`)
	c := s.failingAt(-1)
	c.Budget = time.Nanosecond
	first, err := c.Run(t.Context(), jobs.CleanUpArgs{})
	if err != nil || !first.More || len(first.Refused) != 1 {
		t.Fatalf("the first call answers %+v, %v", first, err)
	}
	c.Budget = 0
	last, err := c.Run(t.Context(), jobs.CleanUpArgs{})
	if err != nil || last.More || len(last.Refused) != 1 || last.Refused[0] != first.Refused[0] {
		t.Errorf("the last call answers %+v, %v; want the refusal of the first, %v", last, err, first.Refused)
	}
}

// What made an attempt fail is the run's error until the run goes on; that of a row stays.
func TestTheErrorOfAnAttemptIsOverWhenTheRunGoesOn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set batch_size = 1 where name = 'temp-files'`)
	const said = `select coalesce(error, '') from cleanup_runs where job_id = 41`
	fails := func(n int, want string) {
		t.Helper()
		if _, err := s.failingAt(n).Run(t.Context(), argsOf("temp-files")); err == nil || !strings.Contains(err.Error(), "the connection was cut") {
			t.Errorf("the attempt answers %v", err)
		}
		if got := one[string](s, said); !strings.Contains(got, want) {
			t.Errorf("after an attempt that failed the run says %q, want %q", got, want)
		}
	}
	fails(2, "the connection was cut")
	if run := s.runOf(argsOf("temp-files")); run.Error != "" { // though there was nothing to delete
		t.Errorf("the run says %q in the end", run.Error)
	}
	s.exec(`insert into temp_files (location, created_at) values ('s3:bucket/a', now() - interval '41 days'), ('s3:bucket/b', now() - interval '40 days')`)
	s.tempFile("postgres", 31)
	fails(2, "the connection was cut")
	fails(4, "s3:bucket/a") // the transactions before have met both
	if run := s.runOf(argsOf("temp-files")); run.Rows != 1 || run.Errors != 2 || !strings.Contains(run.Error, "s3:bucket/a") {
		t.Errorf("the run says %+v, want the error of the first row", run)
	}
	s.tempFile("postgres", 31)
	fails(4, "s3:bucket/a")
	s.exec(`update retention_policies set target = 'tomorrow' where name = 'temp-files'`)
	if outcome, err := s.failingAt(-1).Run(t.Context(), argsOf("temp-files")); err != nil || len(outcome.Refused) != 1 || one[string](s, said) != outcome.Refused[0] {
		t.Errorf("a refusal answers %+v, %v, and the run says %q", outcome, err, one[string](s, said))
	}
}
