package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/cleanup"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/internal/store"
	"backoffice/jobs"
)

// storeroom is a shop with a store of files, old and young temp files and artifacts in both stores.
type storeroom struct {
	shop
	root string
	held map[string]bool // "temp_files 41": what was held before it was being deleted
	mu   sync.Mutex      // of held
}

// TestKilledCleanupLeavesNothingHalfDone kills the worker process at random moments of its work. After each
// kill no object is without a row, no row but a marked one without its object, and nothing held is gone;
// in the end one more run leaves exactly what is young or held.
func TestKilledCleanupLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	kills := 3
	if long {
		kills = 20
	}
	r := &storeroom{shop: newShop(t), root: filepath.Join(t.TempDir(), "store"), held: map[string]bool{}}
	files := 120 * (kills + 1)
	r.furnish(files)
	if err := r.place(t.Context(), cleanup.Hold{Target: "temp_files", Key: "1", Reason: "r", PlacedBy: "test"}); err != nil { // one at least, whatever chance does
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, uint64(kills)))
	stop := r.holdAtRandom(files, random.Uint64())
	if _, err := mustInserter(r.shop).Insert(t.Context(), jobs.CleanUpArgs{}, nil); err != nil {
		t.Fatal(err)
	}
	for n := range kills {
		r.killAt(n*50+10+random.IntN(40), time.Duration(random.IntN(20))*time.Millisecond)
		r.wantSound(fmt.Sprintf("after kill %d", n+1))
		// As another process does that finds it dead: this one would have to live for a while.
		r.exec(`update river_job set state = 'available', attempt = 0, attempted_at = null, scheduled_at = now() where kind = 'clean_up' and state = 'running'`)
	}
	stop()
	unfinished := r.number(`select count(*) from cleanup_runs where finished_at is null`)
	r.text("worker", "--until-empty", "--queue", "maintenance=1", "--store", "file://"+r.root)
	r.wantSound("in the end")
	if n := r.number(`select count(*) from river_job where kind = 'clean_up' and state = 'completed'`); n != 1 {
		t.Errorf("%d jobs completed", n)
	}
	if n := r.number(`select count(*) from temp_files where deleting_at is not null`) + r.number(`select count(*) from artifacts where deleting_at is not null`); n != 0 {
		t.Errorf("%d rows are left marked", n)
	}
	if n := r.number(`select count(*) from temp_files where created_at < now() - interval '30 days' and id::text not in (select key from holds where target = 'temp_files')`); n != 0 {
		t.Errorf("%d old rows are left that nobody holds", n)
	}
	if n := r.number(`select count(*) from artifacts where expires_at < now() and report_id::text not in (select key from holds where target = 'artifacts')`); n != 0 {
		t.Errorf("%d expired artifacts are left that nobody holds", n)
	}
	if n := r.number(`select count(*) from temp_files where created_at > now() - interval '30 days'`); n != files/4 {
		t.Errorf("%d young temp files are left, want %d", n, files/4)
	}
	late := cleanup.Hold{Target: "temp_files", Key: fmt.Sprint(r.number(`select min(id) from generate_series(1, $1) id where id not in (select id from temp_files)`, files)), Reason: "r", PlacedBy: "test"}
	if err := r.place(t.Context(), late); !errors.Is(err, cleanup.ErrNotFound) {
		t.Errorf("a hold on the deleted row %s answers %v", late.Key, err)
	}
	t.Logf("the kills left %d runs unfinished; %d rows were held", unfinished, len(r.held))
	r.conserves()
}

func mustInserter(s shop) *queue.Client {
	s.t.Helper()
	inserter, err := queue.NewInserter(s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	return inserter
}

// furnish puts objects, one in four of them young, and registers them; deletion is slowed down and its
// batches are small, so that a kill hits something.
func (r *storeroom) furnish(files int) {
	r.t.Helper()
	inFiles, err := store.Open(r.t.Context(), "file://"+r.root, r.pool)
	if err != nil {
		r.t.Fatal(err)
	}
	defer inFiles.Close() //nolint:errcheck // a test's
	inRows, err := store.Open(r.t.Context(), "postgres:", r.pool)
	if err != nil {
		r.t.Fatal(err)
	}
	put := func(n int, path string) string {
		to := inFiles
		if n%5 == 0 {
			to = inRows
		}
		location, _, err := to.Put(r.t.Context(), path, strings.NewReader("bytes"))
		if err != nil {
			r.t.Fatal(err)
		}
		return location
	}
	for n := range files {
		days := 31 + n%30
		if n%4 == 3 {
			days = n % 30
		}
		r.exec(`insert into temp_files (location, bytes, created_at) values ($1, 5, now() - make_interval(days => $2))`, put(n, fmt.Sprint("temp/", n)), days)
	}
	for n := range files / 10 {
		r.exec(`insert into reports (job_id, type, version, format, params, status, finished_at, rows, bytes) values ($1, 'stock', 1, 'csv', '{}', 'completed', now(), 2, 10)`, n)
		r.exec(`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at)
			values ($1, 'text/csv', 'a.csv', 2, 10, sha256(''), 2, '1s', now() - interval '1 day' + make_interval(days => 2 * ($1::bigint % 4 / 3)::int))`, n+1)
		for part := range 2 {
			r.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id) values ($1, $2, $3, 1, 5, sha256(''), '', 0)`,
				n+1, part+1, put(n, fmt.Sprintf("reports/%d/%d", n+1, part+1)))
		}
	}
	if err := cleanup.AddMissingPolicies(r.t.Context(), r.pool); err != nil {
		r.t.Fatal(err)
	}
	r.exec(`update retention_policies set batch_size = 7`)
	r.exec(`create function last_a_while() returns trigger language plpgsql as 'begin perform pg_sleep(random() * 0.02); return null; end'`)
	for _, table := range []string{"temp_files", "artifacts"} {
		r.exec(`create trigger last_a_while after update or delete on ` + table + ` for each statement execute function last_a_while()`)
	}
}

// killAt starts a worker process and kills it a moment after so many rows have gone in all.
func (r *storeroom) killAt(rows int, after time.Duration) {
	r.t.Helper()
	worker := process(r.t, "worker", "--database-url", r.url, "--queue", "maintenance=1", "--store", "file://"+r.root, "--log-level", "warn")
	if err := worker.Start(); err != nil {
		r.t.Fatal(err)
	}
	pgtest.Eventually(r.t, fmt.Sprintf("%d rows are gone", rows), func() (bool, error) {
		return r.number(`select coalesce(sum(rows), 0) from cleanup_runs`) >= rows, nil
	})
	<-time.After(after) // a point between two pages, which no row shows
	if err := worker.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	_ = worker.Wait() // it was killed
	// What it had sent to the server may still be under way.
	pgtest.Eventually(r.t, "its sessions have ended", func() (bool, error) {
		return r.number(`select count(*) from pg_stat_activity where datname = current_database() and query like '%cleanup.%' and state <> 'idle' and pid <> pg_backend_pid()`) == 0, nil
	})
}

// holdAtRandom places holds on rows until the function it answers is called.
func (r *storeroom) holdAtRandom(files int, seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	random := rand.New(rand.NewPCG(seed, 1))
	var holding sync.WaitGroup
	holding.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond): // whatever the run is at
			}
			hold := cleanup.Hold{Target: "temp_files", Key: fmt.Sprint(1 + random.IntN(files)), Reason: "r", PlacedBy: "test"}
			if random.IntN(4) == 0 {
				hold.Target, hold.Key = "artifacts", fmt.Sprint(1+random.IntN(files/10))
			}
			err := r.place(ctx, hold)
			if err != nil && !errors.Is(err, cleanup.ErrDeleting) && !errors.Is(err, cleanup.ErrNotFound) && !errors.Is(err, cleanup.ErrHeld) && ctx.Err() == nil {
				r.t.Error(err)
			}
		}
	})
	return func() {
		cancel()
		holding.Wait()
	}
}

// place places a hold, and remembers it.
func (r *storeroom) place(ctx context.Context, hold cleanup.Hold) error {
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		_, err := cleanup.PlaceHold(ctx, tx, hold)
		return err
	})
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held[hold.Target+" "+hold.Key] = true
	}
	return err
}

const rowsOfObjectsSQL = `
select f.location, f.deleting_at is not null, 'temp_files ' || f.id
  from temp_files f
 union all
select p.location, a.deleting_at is not null, 'artifacts ' || a.report_id
  from artifact_parts p join artifacts a using (report_id)`

// wantSound asserts what holds whenever the process is killed.
func (r *storeroom) wantSound(when string) {
	r.t.Helper()
	objects := r.objects()
	rows, err := r.pool.Query(r.t.Context(), rowsOfObjectsSQL)
	if err != nil {
		r.t.Fatal(err)
	}
	named, there := map[string]bool{}, map[string]bool{}
	var location, row string
	var marked bool
	if _, err := pgx.ForEachRow(rows, []any{&location, &marked, &row}, func() error {
		named[location], there[row] = true, true
		if !marked && !objects[location] {
			r.t.Errorf("%s: the object of %s at %s is gone, and the row is not marked", when, row, location)
		}
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	for location := range objects {
		if !named[location] {
			r.t.Errorf("%s: no row names the object at %s", when, location)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for row := range r.held {
		if !there[row] {
			r.t.Errorf("%s: %s is held, and gone", when, row)
		}
	}
}

// objects are the locations of all there are.
func (r *storeroom) objects() map[string]bool {
	r.t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(r.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), ".") {
			relative, err := filepath.Rel(r.root, path)
			found["file:"+filepath.ToSlash(relative)] = true
			return err
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	rows, err := r.pool.Query(r.t.Context(), `select 'postgres:' || path from stored_objects`)
	if err != nil {
		r.t.Fatal(err)
	}
	var location string
	if _, err := pgx.ForEachRow(rows, []any{&location}, func() error { found[location] = true; return nil }); err != nil {
		r.t.Fatal(err)
	}
	return found
}
