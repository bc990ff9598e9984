package cleanup_test

import (
	"os"
	"testing"
	"time"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// setHashSQL recomputes from its definition the hash of the rows that a run is to delete.
const setHashSQL = `
select coalesce(sum(hi * 18446744073709551616 + lo), 0)::text
  from temp_files t
 cross join lateral (select encode(sha256(('temp_files ' || t.id)::bytea), 'hex') as hex) h
 cross join lateral (select ('x' || substr(hex, 1, 16))::bit(64)::bigint::numeric as a, ('x' || substr(hex, 17, 16))::bit(64)::bigint::numeric as b) halves
 cross join lateral (select case when a < 0 then a + 18446744073709551616 else a end as hi, case when b < 0 then b + 18446744073709551616 else b end as lo) words
 where t.created_at < $1
   and not exists (select from holds where target = 'temp_files' and key = t.id::text)`

// Of many rows, half of them old and some of those held, exactly the old ones that nobody holds go.
func TestExactlyTheExpiredGo(t *testing.T) {
	t.Parallel()
	rows := 40_000
	if os.Getenv("BACKOFFICE_LONG") != "" {
		rows = 2_000_000
	}
	s := newShop(t)
	s.exec(`insert into temp_files (location, bytes, created_at)
		select 'postgres:t/' || n, 1 + n % 9, now() - interval '30 days' + case when n % 2 = 0 then 1 else -1 end * (n % 1000 + 3600) * interval '1 second'
		  from generate_series(1, $1) n`, rows)
	s.exec(`insert into holds (target, key, reason, placed_by) select 'temp_files', n::text, 'r', 'b' from generate_series(1, $1, 997) n`, rows)
	s.exec(`analyze temp_files`)
	dry := s.dryRun("temp-files")
	want, bytes, held := one[string](s, setHashSQL, dry.Cutoff), one[int64](s, `select sum(bytes)::bigint from temp_files where created_at < $1 and not exists (select from holds where key = temp_files.id::text)`, dry.Cutoff),
		one[int64](s, `select count(*) from temp_files where created_at < $1 and exists (select from holds where key = temp_files.id::text)`, dry.Cutoff)
	begun := time.Now()
	run := s.cleanBy(jobs.CleanUpArgs{Policy: "temp-files", Cutoff: &dry.Cutoff})
	took := time.Since(begun)
	if dry.SetHash.String() != want || run.SetHash.String() != want {
		t.Errorf("hash of the dry run %s, of the run %s, want %s", dry.SetHash, run.SetHash, want)
	}
	if run.Rows != int64(rows)/2-held || run.Held != held || run.Bytes != bytes || dry.Rows != run.Rows || dry.Held != run.Held || dry.Bytes != run.Bytes {
		t.Errorf("the run says %+v, the dry run %+v; want %d rows, %d held", run, dry, int64(rows)/2-held, held)
	}
	if announced, err := cleanup.Announced(t.Context(), s.pool, run); err != nil || announced == nil || announced.ID != dry.ID {
		t.Errorf("announced by %+v (%v), want dry run %d", announced, err, dry.ID)
	}
	if wrong := one[int](s, `select count(*) from temp_files where (created_at < $1) <> exists (select from holds where key = temp_files.id::text) and created_at < $1`, run.Cutoff); wrong > 0 {
		t.Errorf("%d old rows are left that nobody holds", wrong)
	}
	if left := one[int64](s, `select count(*) from temp_files`); left != int64(rows)/2+held {
		t.Errorf("%d rows are left, want %d", left, int64(rows)/2+held)
	}
	t.Logf("%d rows in %s: %.0f rows/s", run.Rows, took, float64(run.Rows)/took.Seconds())
}
