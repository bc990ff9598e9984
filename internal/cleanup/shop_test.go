package cleanup_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/cleanup"
	"backoffice/internal/pgtest"
	"backoffice/internal/store"
	"backoffice/jobs"
)

// shop is a database and a store of files of its own with what the tests do to them.
type shop struct {
	t      testing.TB
	pool   *pgxpool.Pool
	stores *store.Stores
	root   string // of the store of files
	log    *slog.Logger
	logged strings.Builder // only by log, which writes line by line
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, pool: pgtest.Pool(t), root: filepath.Join(t.TempDir(), "store")}
	s.log = slog.New(slog.NewTextHandler(&s.logged, nil))
	s.stores = s.open("file://" + s.root)
	return s
}

func (s *shop) open(url string) *store.Stores {
	s.t.Helper()
	stores, err := store.Open(s.t.Context(), url, s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = stores.Close() })
	return stores
}

// cleaner is one outside of a job.
func (s *shop) cleaner() *cleanup.Cleaner {
	return &cleanup.Cleaner{
		Pool: s.pool, Stores: s.stores, Log: s.log,
		Fence: func(ctx context.Context, work func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, s.pool, work) },
	}
}

// tryClean runs a policy once.
func (s *shop) tryClean(args jobs.CleanUpArgs) (cleanup.Outcome, error) {
	return s.cleaner().Run(s.t.Context(), args)
}

// clean runs a policy to its end and answers its run.
func (s *shop) clean(policy string) cleanup.Run { return s.cleanBy(jobs.CleanUpArgs{Policy: policy}) }

func (s *shop) dryRun(policy string) cleanup.Run {
	return s.cleanBy(jobs.CleanUpArgs{Policy: policy, DryRun: true})
}

func (s *shop) cleanBy(args jobs.CleanUpArgs) cleanup.Run {
	s.t.Helper()
	outcome, err := s.tryClean(args)
	if err != nil || outcome.More || len(outcome.Refused) > 0 {
		s.t.Fatalf("clean up by %s: %+v, %v", args.Policy, outcome, err)
	}
	return s.lastRun()
}

func (s *shop) lastRun() cleanup.Run {
	s.t.Helper()
	// A run without a job is found as that of one.
	id := one[int64](s, `update cleanup_runs set job_id = -id where id = (select max(id) from cleanup_runs) returning -id`)
	runs, err := cleanup.RunsOf(s.t.Context(), s.pool, id)
	if err != nil || len(runs) != 1 {
		s.t.Fatalf("runs %v, %v", runs, err)
	}
	return runs[0]
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

func one[T any](s *shop, sql string, args ...any) (value T) {
	s.t.Helper()
	if err := s.pool.QueryRow(context.WithoutCancel(s.t.Context()), sql, args...).Scan(&value); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// texts answers an aggregate of text, empty for no rows.
func (s *shop) texts(sql string, args ...any) string {
	s.t.Helper()
	if text := one[*string](s, sql, args...); text != nil {
		return *text
	}
	return ""
}

// tempFile registers a file of so many days with an object in the named store, and answers its id.
func (s *shop) tempFile(name string, days int) (id int64, location string) {
	s.t.Helper()
	path := fmt.Sprintf("temp/%d", one[int64](s, `select coalesce(max(id), 0) + 1 from temp_files`))
	location = name + ":" + path
	id = one[int64](s, `insert into temp_files (location, bytes, created_at) values ($1, 7, now() - make_interval(days => $2)) returning id`, location, days)
	s.object(location)
	return id, location
}

// object puts seven bytes at a location.
func (s *shop) object(location string) {
	s.t.Helper()
	name, path, err := store.SplitLocation(location)
	if err != nil {
		s.t.Fatal(err)
	}
	to := s.stores
	if name == store.Postgres {
		to = s.open("postgres:")
	}
	if _, _, err := to.Put(s.t.Context(), path, strings.NewReader("7 bytes")); err != nil {
		s.t.Fatal(err)
	}
}

// has tells whether there is an object at a location.
func (s *shop) has(location string) bool {
	s.t.Helper()
	name, path, err := store.SplitLocation(location)
	if err != nil {
		s.t.Fatal(err)
	}
	if name == store.Postgres {
		return one[bool](s, `select exists (select from stored_objects where path = $1)`, path)
	}
	_, err = os.Lstat(filepath.Join(s.root, path))
	return err == nil
}

func (s *shop) hold(target, key string) error {
	return pgx.BeginFunc(s.t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := cleanup.PlaceHold(s.t.Context(), tx, cleanup.Hold{Target: target, Key: key, Reason: "lawsuit 7", PlacedBy: "anna"})
		return err
	})
}

func (s *shop) unhold(target, key string) {
	s.t.Helper()
	err := pgx.BeginFunc(s.t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := cleanup.RemoveHold(s.t.Context(), tx, target, key)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// artifact publishes an artifact of two parts in the named store that expired so many days ago, and
// answers its report and locations.
func (s *shop) artifact(name string, days int) (report int64, locations []string) {
	s.t.Helper()
	report = s.report("completed")
	s.exec(`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, created_at, expires_at)
		values ($1, 'text/csv', 'a.csv', 2, 14, sha256(''), 2, '1s', now() - interval '60 days', now() - make_interval(days => $2))`, report, days)
	return report, []string{s.part(report, 1, name), s.part(report, 2, name)}
}

func (s *shop) report(status string) int64 {
	s.t.Helper()
	return one[int64](s, `insert into reports (job_id, type, version, format, params, status, finished_at)
		values ((select coalesce(max(job_id), 0) + 1 from reports), 'sales-summary', 1, 'csv', '{}', $1, case when $1 in ('completed', 'failed', 'cancelled') then now() end)
		returning id`, status)
}

func (s *shop) part(report int64, no int, name string) string {
	s.t.Helper()
	location := fmt.Sprintf("%s:reports/%d/%d", name, report, no)
	s.object(location)
	s.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id) values ($1, $2, $3, 1, 7, sha256(''), '', 0)`, report, no, location)
	return location
}

// register puts an existing object on the list of temp files, so many days ago.
func (s *shop) register(location string, days int) {
	s.t.Helper()
	s.exec(`insert into temp_files (location, created_at) values ($1, now() - make_interval(days => $2))`, location, days)
}

// argsOf asks for a policy.
func argsOf(policy string) jobs.CleanUpArgs { return jobs.CleanUpArgs{Policy: policy} }
