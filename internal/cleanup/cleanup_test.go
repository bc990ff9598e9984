package cleanup_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// Rows that were marked by a process that died are finished by the next run, whether the object is still
// there or not, and count as its own.
func TestWhatWasMarkedIsFinished(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, with := s.tempFile("file", 31)
	_, without := s.tempFile("file", 31)
	report, parts := s.artifact("file", 1)
	if err := s.stores.Delete(t.Context(), without); err != nil {
		t.Fatal(err)
	}
	if err := s.stores.Delete(t.Context(), parts[0]); err != nil {
		t.Fatal(err)
	}
	s.exec(`update temp_files set deleting_at = now()`)
	s.exec(`update artifacts set deleting_at = now()`)
	dry := s.dryRun("temp-files")
	if run := s.clean("temp-files"); run.Rows != 2 || run.Errors != 0 || s.has(with) || !run.SetHash.Equal(dry.SetHash) {
		t.Errorf("the run says %+v, the dry run %+v", run, dry)
	}
	if run := s.clean("artifacts"); run.Rows != 1 || s.has(parts[1]) || one[int](s, `select count(*) from artifact_parts`) != 0 {
		t.Errorf("artifact %d: the run says %+v", report, run)
	}
	if left := one[int](s, `select count(*) from temp_files`); left != 0 {
		t.Errorf("%d rows are left", left)
	}
}

// An object that cannot be deleted keeps its row, and stops no other. What this process cannot reach at all
// is not even marked.
func TestOneObjectsErrorStopsNoOther(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, first := s.tempFile("postgres", 31)
	s.exec(`insert into temp_files (location, created_at) values ('s3:bucket/a', now() - interval '31 days'), ('file:../etc/passwd', now() - interval '31 days')`)
	_, last := s.tempFile("postgres", 31)
	run := s.clean("temp-files")
	if run.Rows != 2 || run.Errors != 2 || !strings.Contains(run.Error, "s3:bucket/a") || s.has(first) || s.has(last) {
		t.Errorf("the run says %+v", run)
	}
	if left := s.texts(`select string_agg(location, ' ' order by id) from temp_files where deleting_at is null`); left != "s3:bucket/a file:../etc/passwd" {
		t.Errorf("left unmarked: %s", left)
	}
	_, elsewhere := s.tempFile("file", 31)
	s.stores = s.open("postgres:")
	if run := s.clean("temp-files"); run.Rows != 0 || run.Errors != 3 || one[int](s, `select count(*) from temp_files where deleting_at is null`) != 3 {
		t.Errorf("without the store of %s the run says %+v", elsewhere, run)
	}
}

func TestPlainTargets(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into idempotency_keys (api_key_id, route, key, body_sha256, status, body, created_at)
		select 0, 'POST /api/orders', 'k' || n, sha256(''), 201, '', now() - make_interval(hours => n) from generate_series(1, 96) n`)
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome, at)
		select s, now() - make_interval(days => 10 * n), 'skipped', now() - make_interval(days => 10 * n) from generate_series(1, 20) n, unnest('{often,yearly}'::text[]) s where s = 'often' or n > 15`)
	s.exec(`insert into schedule_gaps (schedule, from_at, until_at, cause, at)
		select 'often', now() - make_interval(days => 10 * n + 1), now() - make_interval(days => 10 * n), 'paused', now() - make_interval(days => 10 * n) from generate_series(1, 20) n`)
	s.exec(`insert into reports (job_id, type, version, format, params, status, requested_at, finished_at)
		select n, 'stock', 1, 'csv', '{}', case when n = 5 then 'running' when n % 2 = 0 then 'failed' else 'completed' end, now() - interval '2 years',
		       case when n <> 5 then now() - make_interval(days => 100 * n) end from generate_series(1, 9) n`)
	s.exec(`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at)
		select id, 'text/csv', 'f', 0, 0, sha256(''), 0, '1s', now() + interval '10 years' from reports where job_id = 7`)
	s.exec(`insert into artifact_parts (report_id, part_no, location, bytes, sha256, hash_state, last_id)
		select id, 1, 'file:reports/8', 0, sha256(''), '', 0 from reports where job_id = 8`)
	s.exec(`insert into cleanup_runs (policy, target, cutoff, started_at, finished_at)
		select 'old', 'x', now(), now() - make_interval(days => 10 * n), case when n < 20 then now() end from generate_series(1, 20) n`)
	s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at, declared_dead_at)
		select 'w' || n, 'h', n, 'v', '{}', now() - interval '1 year', now(), case when n > 1 then now() - make_interval(days => n) end from generate_series(1, 10) n`)
	s.exec(`insert into river_job (kind, queue, max_attempts, args, state, attempt, attempted_at, attempted_by) values ('k', 'q', 5, '{}', 'running', 1, now(), '{x,w9}')`)
	for _, tc := range []struct{ policy, left, want string }{
		{"idempotency-keys", `select count(*)::text || ' ' || (min(created_at) > now() - interval '48 hours') from idempotency_keys`, "47 true"},
		{"schedule-runs", `select string_agg(schedule || ' ' || n, ', ' order by schedule) from (select schedule, count(*) as n from schedule_runs group by 1) x`, "often 8, yearly 1"},
		{"cleanup-runs", `select count(*)::text from cleanup_runs where policy = 'old'`, "9"}, // one of them unfinished
		{"schedule-gaps", `select count(*)::text from schedule_gaps`, "8"},
		{"reports", `select string_agg(job_id::text, ' ' order by job_id) from reports`, "1 2 3 5 7 8"}, // young, at work, or something of it is stored
		{"worker-processes", `select string_agg(client_id, ' ' order by pid) from worker_processes`, "w1 w2 w3 w4 w5 w6 w9"},
	} {
		dry := s.dryRun(tc.policy)
		run := s.clean(tc.policy)
		if run.Rows == 0 || !run.SetHash.Equal(dry.SetHash) || run.Rows != dry.Rows {
			t.Errorf("%s: the run says %+v, the dry run %+v", tc.policy, run, dry)
		}
		if left := s.texts(tc.left); left != tc.want {
			t.Errorf("%s: left %s, want %s", tc.policy, left, tc.want)
		}
	}
}

// A part of a report that failed may be named by temp_files only.
func TestAReportStaysAsLongAsAnObjectOfIt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	inFiles, inside, gone := s.report("failed"), s.report("failed"), s.report("failed")
	s.exec(`update reports set finished_at = now() - interval '2 years'`)
	s.register(fmt.Sprintf("file:reports/%d/1-x", inFiles), 31)
	s.register(fmt.Sprintf("postgres:reports/%d/1-x", inside), 31)
	s.register(fmt.Sprintf("file:other/%d/1-x", gone), 31)
	s.register(fmt.Sprintf("postgres:reports/%d0/1-x", gone), 31)
	for _, id := range []string{"1", "2"} {
		if err := s.hold("temp_files", id); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{fmt.Sprintf("%d %d", inFiles, inside), ""} {
		s.clean("temp-files")
		s.clean("reports")
		if left := s.texts(`select string_agg(id::text, ' ' order by id) from reports`); left != want {
			t.Errorf("left are the reports %q, want %q", left, want)
		}
		s.exec(`delete from holds`)
	}
}

func TestAllEnabledPoliciesRunAndNoOther(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.tryClean(jobs.CleanUpArgs{}); err != nil {
		t.Fatal(err)
	}
	const ran = `select string_agg(policy, ' ' order by policy) from cleanup_runs where finished_at is not null`
	if got, want := s.texts(ran), "artifacts cleanup-runs idempotency-keys orphans reports schedule-gaps schedule-runs temp-files worker-processes"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	s.exec(`truncate cleanup_runs`)
	s.exec(`update retention_policies set enabled = false where name <> 'artifacts'`)
	s.exec(`delete from retention_policies where name = 'orphans'`) // comes back, enabled
	if _, err := s.tryClean(jobs.CleanUpArgs{}); err != nil {
		t.Fatal(err)
	}
	if got := s.texts(ran); got != "artifacts orphans" {
		t.Errorf("ran %s, want what is enabled", got)
	}
	s.exec(`truncate cleanup_runs`)
	s.clean("temp-files") // by name, though it is disabled
	_, err := s.tryClean(jobs.CleanUpArgs{Policy: "tempfiles"})
	if !errors.Is(err, cleanup.ErrNotFound) || !strings.Contains(err.Error(), `policy "tempfiles" does not exist; there are artifacts,`) {
		t.Errorf("an unknown policy answers %v", err)
	}
}

func TestOneAgeForManyRowsIsSeenRowByRow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into temp_files (location, created_at) select 'file:t/' || n, '2020-01-01' from generate_series(1, 25) n`)
	s.exec(`insert into idempotency_keys (api_key_id, route, key, body_sha256, status, body, created_at)
		select 0, 'POST /api/orders', 'k' || n, sha256(''), 201, '', '-infinity' from generate_series(1, 25) n`)
	s.dryRun("temp-files")
	s.exec(`update retention_policies set batch_size = 4`)
	for i := range 5 {
		if err := s.hold("temp_files", fmt.Sprint(5*i+1)); err != nil {
			t.Fatal(err)
		}
	}
	dry := s.dryRun("temp-files")
	if run := s.clean("temp-files"); run.Rows != 20 || run.Held != 5 || !run.SetHash.Equal(dry.SetHash) || dry.Held != 5 {
		t.Errorf("the run says %+v, the dry run %+v", run, dry)
	}
	if run := s.clean("idempotency-keys"); run.Rows != 25 || run.Oldest != nil {
		t.Errorf("the run says %+v", run)
	}
}

func TestACutoffSparesWhatIsYounger(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, old := s.tempFile("file", 40)
	dry := s.dryRun("temp-files")
	_, later := s.tempFile("file", 31)
	s.exec(`update temp_files set created_at = $2::timestamptz + interval '1 microsecond' where location = $1`, later, dry.Cutoff)
	run := s.cleanBy(jobs.CleanUpArgs{Policy: "temp-files", Cutoff: &dry.Cutoff})
	if s.has(old) || !s.has(later) || !run.SetHash.Equal(dry.SetHash) {
		t.Errorf("the run says %+v, the dry run %+v", run, dry)
	}
	announced, err := cleanup.Announced(t.Context(), s.pool, run)
	if err != nil || announced == nil || announced.ID != dry.ID {
		t.Errorf("announced by %+v (%v), want the dry run %d", announced, err, dry.ID)
	}
	_, young := s.tempFile("file", 29)
	s.cleanBy(jobs.CleanUpArgs{Policy: "temp-files", Cutoff: new(time.Now())})
	if !s.has(young) {
		t.Error("a cutoff deletes what is younger than the policy's age")
	}
}

// Every instant spares what is younger, the zero time as well.
func TestACutoffOfLongAgoSparesAll(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, location := s.tempFile("postgres", 31)
	var args jobs.CleanUpArgs
	if err := json.Unmarshal([]byte(`{"policy": "temp-files", "cutoff": "0001-01-01T00:00:00Z"}`), &args); err != nil {
		t.Fatal(err)
	}
	if run := s.cleanBy(args); run.Rows != 0 || !s.has(location) {
		t.Errorf("the run says %+v", run)
	}
}

func TestTimeUpIsGoneOnWithByTheSameJob(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for range 9 {
		s.tempFile("file", 31)
		s.tempFile("postgres", 31)
	}
	dry := s.dryRun("temp-files")
	s.exec(`update retention_policies set batch_size = 4, enabled = name in ('artifacts', 'temp-files', 'schedule-runs')`)
	c := s.cleaner()
	c.JobID, c.Budget = 41, time.Nanosecond
	if outcome, err := c.Run(t.Context(), jobs.CleanUpArgs{}); err != nil || !outcome.More {
		t.Errorf("the first call answers %+v, %v", outcome, err)
	}
	runs := s.inSteps(c, jobs.CleanUpArgs{}, 100)
	if len(runs) != 3 || runs[2].Policy != "temp-files" || runs[2].Rows != 18 || !runs[2].SetHash.Equal(dry.SetHash) {
		t.Errorf("the runs are %+v", runs)
	}
}
