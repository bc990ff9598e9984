package cleanup_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/cleanup"
	"backoffice/internal/pgtest"
)

func TestHoldsAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, _ := s.tempFile("file", 31)
	gone, _ := s.tempFile("postgres", 31)
	if err := s.hold("temp_files", fmt.Sprint(id)); err != nil {
		t.Fatal(err)
	}
	s.clean("temp-files")
	marked, _ := s.tempFile("file", 31)
	s.exec(`update temp_files set deleting_at = '2026-03-04 12:00Z' where id = $1`, marked)
	for _, tc := range []struct {
		rule, target, key string
		cause             error
		want              string
	}{
		{"a row that is being deleted", "temp_files", fmt.Sprint(marked), cleanup.ErrDeleting, fmt.Sprintf("temp_files %d is already being deleted since 2026-03-04T12:00:00Z; a hold comes too late", marked)},
		{"a row that is gone", "temp_files", fmt.Sprint(gone), cleanup.ErrNotFound, fmt.Sprintf("temp_files %d: there is no such row", gone)},
		{"a row that never was", "artifacts", "4711", cleanup.ErrNotFound, "artifacts 4711: there is no such row"},
		{"no key", "temp_files", "file:a", cleanup.ErrNotFound, "temp_files file:a: there is no such row"},
		{"a key out of range", "temp_files", "99999999999999999999", cleanup.ErrNotFound, "temp_files 99999999999999999999: there is no such row"},
		{"a row of a plain table", "worker_processes", "w1", cleanup.ErrNotFound, "worker_processes w1: there is no such row"},
		{"a table that nothing is deleted from", "orders", "1", cleanup.ErrInvalid, `target "orders" is none that this program deletes from; known are temp_files, artifacts, reports, idempotency_keys, schedule_runs, schedule_gaps, cleanup_runs, worker_processes`},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if err := s.hold(tc.target, tc.key); !errors.Is(err, tc.cause) || err.Error() != tc.want {
				t.Errorf("answers %v, want %s", err, tc.want)
			}
		})
	}
	if err := s.hold("temp_files", fmt.Sprint(id)); !errors.Is(err, cleanup.ErrHeld) || !strings.HasSuffix(err.Error(), "by anna: lawsuit 7") {
		t.Errorf("a second hold answers %v", err)
	}
	held, err := cleanup.ListHolds(t.Context(), s.pool, "temp_files", 10)
	if err != nil || len(held) != 1 || held[0].Key != fmt.Sprint(id) || held[0].Reason != "lawsuit 7" || held[0].PlacedBy != "anna" {
		t.Errorf("the holds are %+v (%v)", held, err)
	}
	none := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := cleanup.RemoveHold(t.Context(), tx, "artifacts", "1")
		return err
	})
	if !errors.Is(none, cleanup.ErrNotFound) {
		t.Errorf("removing a hold that is not there answers %v", none)
	}
}

// A key with an instant in it is the same text in every session, however the database writes instants.
func TestAHoldOutlivesAnotherDateStyle(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome, at)
		select 'often', timestamptz '2026-03-04 12:00Z' + n * interval '1 minute', 'skipped', now() - interval '1 year' from generate_series(1, 3) n`)
	if err := s.hold("schedule_runs", "often 2026-03-04 12:01:00+00"); err != nil {
		t.Fatal(err)
	}
	s.exec(`do $$ begin execute format('alter database %I set datestyle = ''German, DMY''', current_database()); end $$`)
	s.pool.Reset() // only new sessions know of it
	if run := s.clean("schedule-runs"); run.Rows != 1 || run.Held != 1 {
		t.Errorf("the run says %+v, want one row to go and one to be held", run)
	}
	s.unhold("schedule_runs", "often 2026-03-04 12:01:00+00")
}

// While a hold is being placed its row is locked, and cleanup passes it by.
func TestARowOnWhichAHoldIsBeingPlacedIsPassedBy(t *testing.T) {
	t.Parallel()
	for _, name := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			id, location := s.tempFile(name, 31)
			_, other := s.tempFile(name, 31)
			placing, err := s.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cleanup.PlaceHold(t.Context(), placing, cleanup.Hold{Target: "temp_files", Key: fmt.Sprint(id), Reason: "r", PlacedBy: "b"}); err != nil {
				t.Fatal(err)
			}
			if run := s.clean("temp-files"); run.Rows != 1 || s.has(other) || !s.has(location) {
				t.Errorf("while the hold is being placed the run says %+v", run)
			}
			if err := placing.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if run := s.clean("temp-files"); run.Rows != 0 || run.Held != 1 || !s.has(location) {
				t.Errorf("the run says %+v", run)
			}
		})
	}
	t.Run("of a plain table", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at, declared_dead_at)
			select 'w' || n, 'h', n, 'v', '{}', now() - interval '1 year', now(), now() - interval '1 year' from generate_series(1, 2) n`)
		placing, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cleanup.PlaceHold(t.Context(), placing, cleanup.Hold{Target: "worker_processes", Key: "w1", Reason: "r", PlacedBy: "b"}); err != nil {
			t.Fatal(err)
		}
		if run := s.clean("worker-processes"); run.Rows != 1 {
			t.Errorf("while the hold is being placed the run says %+v", run)
		}
		if err := placing.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := s.texts(`select string_agg(client_id, ' ') from worker_processes`); left != "w1" {
			t.Errorf("left: %s", left)
		}
	})
}

// A program places holds on random rows at random moments while others delete them. A hold that was placed
// keeps its row and its object to the end; one that was refused says why. The large batch takes long to
// lock: holds come in between the statement's snapshot and its locks.
func TestHoldsPlacedMeanwhileAreKept(t *testing.T) {
	t.Parallel()
	many, files := 20_000, 600
	if os.Getenv("BACKOFFICE_LONG") != "" {
		many, files = 400_000, 20_000
	}
	t.Run("in one large batch", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.exec(`insert into temp_files (location, bytes, created_at) select 'postgres:t/' || n, 7, now() - interval '31 days' from generate_series(1, $1) n`, many)
		s.exec(`insert into stored_objects (path, bytes) select 't/' || n, 7 from generate_series(1, $1) n`, many)
		s.holdMeanwhile(many, 100_000)
	})
	t.Run("in small batches", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		for n := range files {
			s.tempFile(stores[n%2], 31)
		}
		s.holdMeanwhile(files, 50)
	})
}

// holdMeanwhile deletes the temp files with the ids from 1 on, all of them old, while holds are placed.
func (s *shop) holdMeanwhile(expired, batchSize int) {
	s.t.Helper()
	s.dryRun("artifacts") // the policies are there
	s.exec(`update retention_policies set batch_size = $1`, batchSize)
	var mu sync.Mutex
	placed, refused := map[int64]bool{}, map[int64]error{}
	if err := s.hold("temp_files", fmt.Sprint(expired/2)); err != nil { // one at least, whatever chance does
		s.t.Fatal(err)
	}
	placed[int64(expired/2)] = true
	begin, over := make(chan struct{}), make(chan struct{})
	var holders, cleaners sync.WaitGroup
	for holder := range 3 {
		random := rand.New(rand.NewPCG(uint64(holder), 7))
		holders.Go(func() {
			<-begin
			for {
				select {
				case <-over:
					return
				default:
				}
				id := 1 + random.Int64N(int64(expired))
				err := s.hold("temp_files", fmt.Sprint(id))
				mu.Lock()
				switch {
				case err == nil:
					placed[id] = true
				case errors.Is(err, cleanup.ErrDeleting), errors.Is(err, cleanup.ErrNotFound):
					refused[id] = err
				case !errors.Is(err, cleanup.ErrHeld):
					s.t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	for range 2 { // two at once, as of two jobs
		cleaners.Go(func() {
			<-begin
			if _, err := s.tryClean(argsOf("temp-files")); err != nil {
				s.t.Error(err)
			}
		})
	}
	close(begin)
	cleaners.Wait()
	close(over)
	holders.Wait()
	s.wantKept(expired, placed)
	s.t.Logf("%d holds placed, %d refused, of %d rows", len(placed), len(refused), expired)
	for id := int64(1); id <= int64(expired); id++ { // one at least that comes too late
		if !placed[id] {
			if refused[id] = s.hold("temp_files", fmt.Sprint(id)); !errors.Is(refused[id], cleanup.ErrNotFound) {
				s.t.Errorf("a hold on the deleted row %d answers %v", id, refused[id])
			}
			break
		}
	}
	for id, err := range refused {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("temp_files %d", id)) {
			s.t.Errorf("the refusal %v does not name row %d", err, id)
		}
	}
}

// wantKept asserts that of the temp files those that are held, and no others, are there with their objects.
func (s *shop) wantKept(expired int, held map[int64]bool) {
	s.t.Helper()
	found, err := s.pool.Query(s.t.Context(), `select id, location from temp_files where deleting_at is null`)
	if err != nil {
		s.t.Fatal(err)
	}
	kept := map[int64]string{}
	var id int64
	var location string
	if _, err := pgx.ForEachRow(found, []any{&id, &location}, func() error { kept[id] = location; return nil }); err != nil {
		s.t.Fatal(err)
	}
	for id := range int64(expired) + 1 {
		location, there := kept[id]
		if held[id] != there || there && !s.has(location) {
			s.t.Errorf("row %d is held: %t, is there: %t, at %s", id, held[id], there, location)
		}
	}
	if objects := one[int](s, `select count(*) from stored_objects where 'postgres:' || path not in (select location from temp_files)`); objects > 0 {
		s.t.Errorf("%d objects are left without a row", objects)
	}
}

// Two at once delete each row once, and count it once.
func TestTwoCleanersCountEachRowOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 200 {
		s.tempFile(stores[n%2], 31)
	}
	dry := s.dryRun("temp-files")
	s.exec(`update retention_policies set batch_size = 7`)
	s.exec(`truncate cleanup_runs`)
	var together sync.WaitGroup
	for range 3 {
		together.Go(func() {
			if _, err := s.tryClean(argsOf("temp-files")); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	s.clean("temp-files") // what one had locked when the other looked
	if rows, sum := one[int64](s, `select sum(rows)::bigint from cleanup_runs`), one[string](s, `select sum(set_hash)::text from cleanup_runs`); rows != dry.Rows || sum != dry.SetHash.String() {
		t.Errorf("%d rows with the sum %s, want %d and %s", rows, sum, dry.Rows, dry.SetHash)
	}
	pgtest.Eventually(t, "nothing is left", func() (bool, error) { return one[int](s, `select count(*) from temp_files`) == 0, nil })
}
