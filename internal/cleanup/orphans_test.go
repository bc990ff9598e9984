package cleanup_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"backoffice/jobs"
)

// aged makes an object at a location look as old as so many hours.
func (s *shop) aged(location string, hours int) string {
	s.t.Helper()
	s.object(location)
	name, path, _ := strings.Cut(location, ":")
	if name == "postgres" {
		s.exec(`update stored_objects set created_at = now() - make_interval(hours => $2) where path = $1`, path, hours)
		return location
	}
	at := time.Now().Add(-time.Duration(hours) * time.Hour)
	if err := os.Chtimes(filepath.Join(s.root, path), at, at); err != nil {
		s.t.Fatal(err)
	}
	return location
}

func TestOldObjectsWithoutARowGo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, name := range stores {
		orphan, young := s.aged(name+":a/orphan", 25), s.aged(name+":a/young", 23)
		registered := s.aged(name+":b/registered", 25)
		s.register(registered, 1)
		_, published := s.artifact(name, -1)
		running := s.part(s.report("running"), 1, name)
		failed := s.part(s.report("failed"), 1, name)
		s.exec(`update stored_objects set created_at = now() - interval '2 days' where path like 'reports/%'`)
		old := time.Now().Add(-48 * time.Hour)
		for _, location := range append([]string{running, failed}, published...) {
			if name == "file" {
				if err := os.Chtimes(filepath.Join(s.root, strings.TrimPrefix(location, "file:")), old, old); err != nil {
					t.Fatal(err)
				}
			}
		}
		dry := s.dryRun("orphans")
		if !s.has(orphan) {
			t.Errorf("%s: the dry run deleted it", orphan)
		}
		run := s.clean("orphans")
		if run.Rows != 2 || run.Bytes != 14 || !run.SetHash.Equal(dry.SetHash) || dry.Rows != 2 || s.has(orphan) || s.has(failed) {
			t.Errorf("%s: the run says %+v, the dry run %+v", name, run, dry)
		}
		for _, location := range append([]string{young, registered, running}, published...) {
			if !s.has(location) {
				t.Errorf("%s is gone", location)
			}
		}
		if left := one[int](s, `select count(*) from artifact_parts where location = $1`, failed); left != 0 {
			t.Errorf("%s: a failed report still lists a part that is gone", name)
		}
	}
}

func TestUnfinishedObjectsGoWithTheOrphans(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.object("file:reports/1/a")
	unfinished := func(path string, hours int) string {
		path = filepath.Join(s.root, path)
		at := time.Now().Add(-time.Duration(hours) * time.Hour)
		if err := errors.Join(os.WriteFile(path, []byte("half"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, deep, fresh := unfinished(".unfinished-OLD", 48), unfinished("reports/1/.unfinished-OLD", 25), unfinished("reports/1/.unfinished-NEW", 23)
	if err := os.Mkdir(filepath.Join(s.root, "reports/2"), 0o700); err != nil {
		t.Fatal(err)
	}
	afterAll := unfinished("reports/2/.unfinished-OLD", 25) // the last object comes before it
	s.dryRun("orphans")
	for _, path := range []string{old, deep, fresh, afterAll} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("after a dry run: %v", err)
		}
	}
	s.clean("orphans")
	for _, path := range []string{old, deep, afterAll} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("it is left: %v", err)
		}
	}
	if _, err := os.Lstat(fresh); err != nil {
		t.Errorf("one that a process may be writing is gone: %v", err)
	}
}

func TestASafetyCapRefusesAndDeletesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, created_at) select 'postgres:t/' || n, now() - make_interval(days => case when n <= 150 then 31 else 1 end) from generate_series(1, 200) n`)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set max_share = 0.7 where name = 'temp-files'`)
	outcome, err := s.tryClean(jobs.CleanUpArgs{Policy: "temp-files"})
	want := "policy temp-files would delete more than 140 of 200 rows of temp_files, its share of at most 70%; nothing was deleted: look at a dry run, then correct its age or raise its max_share"
	if err != nil || len(outcome.Refused) != 1 || outcome.Refused[0] != want {
		t.Errorf("answers %+v, %v\nwant %s", outcome, err, want)
	}
	if run := s.lastRun(); !run.Refused || run.Error != want || run.Rows != 0 || run.FinishedAt == nil {
		t.Errorf("the run says %+v", run)
	}
	if n := one[int](s, `select count(*) from temp_files`); n != 200 {
		t.Errorf("%d rows are left", n)
	}
	if run := s.dryRun("temp-files"); run.Rows != 150 { // telling deletes nothing
		t.Errorf("the dry run says %+v", run)
	}
	s.exec(`update retention_policies set max_share = 0.75 where name = 'temp-files'`)
	if run := s.clean("temp-files"); run.Rows != 150 {
		t.Errorf("the run says %+v", run)
	}
	for n := range 101 {
		s.aged(fmt.Sprintf("file:lost/%d", n), 25)
	}
	if outcome, err := s.tryClean(jobs.CleanUpArgs{Policy: "orphans"}); err != nil || len(outcome.Refused) != 1 || !strings.Contains(outcome.Refused[0], "more than 100 of 101 objects, its share of at most 50%") {
		t.Errorf("answers %+v, %v", outcome, err)
	}
	if err := s.stores.Delete(t.Context(), "file:lost/1"); err != nil {
		t.Fatal(err)
	}
	if run := s.clean("orphans"); run.Rows != 100 { // a hundred may go whatever their share
		t.Errorf("the run says %+v", run)
	}
}

// A refused policy stops no other, nor does one whose target this program does not know.
func TestARefusedPolicyStopsNoOther(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFile("file", 31)
	s.exec(`insert into retention_policies (name, target, age) values ('a-table-of-tomorrow', 'tomorrow', '1 day')`)
	outcome, err := s.tryClean(jobs.CleanUpArgs{})
	if err != nil || len(outcome.Refused) != 1 || !strings.HasPrefix(outcome.Refused[0], `policy a-table-of-tomorrow: target "tomorrow" is none`) {
		t.Errorf("answers %+v, %v", outcome, err)
	}
	if n := one[int](s, `select count(*) from temp_files`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// A run goes through the stores of the process that began it, whichever process goes on with it: its check has
// counted no others. What it counted it sweeps from the beginning, though it crashed just after the check.
func TestARunGoesThroughTheStoresThatItBeganWith(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into stored_objects (path, bytes, created_at) select 'o/' || n, 7, now() - make_interval(days => case when n <= 110 then 2 else 0 end) from generate_series(1, 250) n`)
	for n := range 120 { // with which more than half would go
		s.aged(fmt.Sprintf("file:lost/%d", n), 25)
	}
	s.dryRun("artifacts")
	s.exec(`update retention_policies set batch_size = 1 where name = 'orphans'`)
	both := s.stores
	s.stores = s.open("postgres:")
	if _, err := s.failingAt(4).Run(t.Context(), argsOf("orphans")); err == nil || !one[bool](s, `select checked and rows = 0 from cleanup_runs where job_id = 41`) {
		t.Fatalf("the process without files answers %v, and is not just after the check", err)
	}
	s.stores = both
	run := s.runOf(argsOf("orphans"))
	if old := one[int](s, `select count(*) from stored_objects where created_at < now() - interval '1 day'`); old != 0 || run.Rows != 109 { // one went in the moment before the crash
		t.Errorf("%d old objects are left in the database, and the run says %+v", old, run)
	}
	for n := range 120 {
		if location := fmt.Sprintf("file:lost/%d", n); !s.has(location) {
			t.Fatalf("%s is gone, which the check has not counted", location)
		}
	}
}

// A process that lacks one of a run's stores leaves the run to others, and where they have come to.
func TestARunIsLeftToProcessesWithItsStores(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 4 {
		s.aged(fmt.Sprintf("%s:lost/%d", stores[n%2], n), 25)
	}
	s.dryRun("artifacts")
	s.exec(`update retention_policies set batch_size = 1 where name = 'orphans'`)
	both, inside := s.stores, s.open("postgres:")
	const began = `select max(id) from cleanup_runs where job_id = 41`
	const row = `select concat_ws(' ', counted, checked, cursor_key, rows) from cleanup_runs where job_id = 41`
	for calls, more := 1, true; more; calls++ {
		s.stores = both
		c := s.failingAt(-1)
		c.Budget = time.Nanosecond
		outcome, err := c.Run(t.Context(), argsOf("orphans"))
		if more = outcome.More; err != nil || calls > 20 {
			t.Fatalf("call %d answers %+v, %v", calls, outcome, err)
		}
		if !more {
			break
		}
		came := one[string](s, row)
		s.stores = inside
		_, err = s.failingAt(-1).Run(t.Context(), argsOf("orphans"))
		if want := fmt.Sprintf("this process has no store file:, which run %d goes through; give all worker processes the same --store", one[int](s, began)); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("the process without files answers %v\nwant %s", err, want)
		}
		if now := one[string](s, row); now != came {
			t.Errorf("the process without files left the run at %q, and it was at %q", now, came)
		}
	}
	s.stores = both
	if run := s.runOf(argsOf("orphans")); run.Rows != 4 {
		t.Errorf("the run says %+v, want 4 objects", run)
	}
	// As it was begun before runs wrote down their stores.
	s.exec(`insert into cleanup_runs (policy, target, job_id, cutoff, checked) values ('orphans', 'orphans', 41, now() - interval '1 day', true)`)
	s.aged("file:lost/5", 25)
	if run := s.runOf(argsOf("orphans")); run.Rows != 1 {
		t.Errorf("an older run says %+v, want 1 object", run)
	}
}
