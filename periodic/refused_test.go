package periodic_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

func syncTwo(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "first", Args: tickArgs{}, Spec: "every 10s", CatchUp: periodic.CatchUpLatest},
		periodic.Entry{Name: "sound", Args: dayArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest})
}

// wantOneBlamed asserts that "first" says why it is not dispatched, and that "sound" had its tick.
func wantOneBlamed(t *testing.T, pool *pgxpool.Pool, reason string) {
	t.Helper()
	if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'sound' and outcome = 'enqueued'`); n != 1 {
		t.Errorf("%d ticks of the sound schedule, want 1", n)
	}
	if n := numbers(t, pool, `select count(*) from schedules where name = 'first' and strpos(last_error, $1) > 0`, reason); n != 1 {
		t.Error("the refused schedule does not say why")
	}
}

// refuseTicks has a trigger of an operator's refuse the jobs of the schedule "first", with a code of Postgres's.
func refuseTicks(t *testing.T, pool *pgxpool.Pool, code string) {
	t.Helper()
	syncTwo(t, pool)
	exec(t, pool, `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no ticks today' using errcode = '`+code+`'; end $$`)
	exec(t, pool, `create trigger refuse before insert on river_job for each row when (new.kind = 'tick') execute function refuse()`)
}

func TestRefusedScheduleHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for code, retry := range map[string]time.Duration{
		"P0001": periodic.RetryBroken, // raise_exception
		"22012": periodic.RetryBroken, // division_by_zero
		"23514": periodic.RetryBroken, // check_violation
		"42501": periodic.RetryBroken, // insufficient_privilege
		"55000": periodic.RetryBroken, // object_not_in_prerequisite_state
		"57014": periodic.RetryBroken, // query_canceled, by statement_timeout
		"55P03": periodic.RetryLocked, // lock_not_available
		"40001": periodic.RetryLocked, // serialization_failure
		"40P01": periodic.RetryLocked, // deadlock_detected
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			refuseTicks(t, pool, code)
			next := dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second)))
			if next != retry {
				t.Errorf("the next look is in %s, want %s", next, retry)
			}
			wantOneBlamed(t, pool, "no ticks today")
		})
	}
}

func TestTroubleOfTheServerIsNoSchedulesFault(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"08006", "25006", "53100", "53300", "57P01", "57P03", "58030", "XX000"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			refuseTicks(t, pool, code)
			if _, err := newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second)).Dispatch(t.Context()); err == nil {
				t.Error("the loop is not told")
			}
			if n := numbers(t, pool, `select count(*) from schedules where last_error is not null`); n != 0 {
				t.Error("a schedule is blamed")
			}
		})
	}
}

func TestScheduleRefusedAtCommitHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	syncTwo(t, pool)
	exec(t, pool, `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not by me'; end $$`)
	exec(t, pool, `create constraint trigger refuse after insert on schedule_runs deferrable initially deferred for each row when (new.schedule = 'first') execute function refuse()`)
	dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second)))
	wantOneBlamed(t, pool, "not by me")
}

// The tick that fails is another one at every look.
func TestRefusalIsLoggedOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	refuseTicks(t, pool, "P0001")
	logged := &strings.Builder{}
	for look := range 3 {
		dispatcher := newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second+time.Duration(look)*periodic.RetryBroken))
		dispatcher.Log = textLog(logged)
		dispatchWithin(t, dispatcher)
	}
	if n := strings.Count(logged.String(), "schedule=first"); n != 1 {
		t.Errorf("it was logged %d times, want once: %s", n, logged)
	}
}

// What was found broken a moment ago is not tried again because another schedule is due, and in other hands.
func TestBrokenScheduleIsNotTriedInPlaceOfAnother(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into schedules (name, kind, spec, next_run_at, last_error, last_error_at, retry_at) values
		('broken', 'sing', 'every 1m', $1, 'kind unknown', $1, $2), ('held', 'tick', 'every 30s', $1, null, null, null)`, pgtest.Noon, pgtest.Noon.Add(20*time.Second))
	if _, err := begin(t, pool).Exec(t.Context(), `select from schedules where name = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon.Add(10*time.Second)))
	if n := numbers(t, pool, `select count(*) from schedules where name = 'broken' and last_error_at = $1`, pgtest.Noon); n != 1 {
		t.Error("it was tried")
	}
}

func TestClaimWaitsBrieflyForLocks(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "often", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest})
	exec(t, pool, `create table seen (lock_timeout text)`)
	exec(t, pool, `create function see() returns trigger language plpgsql as $$ begin insert into seen values (current_setting('lock_timeout')); return new; end $$`)
	exec(t, pool, `create trigger see before insert on schedule_runs for each row execute function see()`)
	dispatchWithin(t, newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second)))
	if n := numbers(t, pool, `select count(*) from seen where lock_timeout = '250ms'`); n != 1 {
		t.Error("the docs say 250 ms")
	}
}

// Between a claim that fails and the note of why, somebody may lock the schedule for hours.
func TestNoteDoesNotWaitForWhoHasTheSchedule(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "often", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest})
	holder, locked := begin(t, pool), make(chan error, 1)
	dispatcher := newDispatcher(t, pool, pgtest.Noon.Add(30*time.Second))
	dispatcher.Decode = func(kind string, args []byte) (river.JobArgs, error) {
		go func() {
			_, err := holder.Exec(t.Context(), `select from schedules for update`)
			locked <- err
		}()
		pgtest.Eventually(t, "somebody waits for the row", func() (bool, error) {
			return numbers(t, pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0, nil
		})
		return nil, fmt.Errorf("kind %q is unknown", kind)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := dispatcher.Dispatch(ctx); err != nil {
		t.Error(err)
	}
	if err := <-locked; err != nil {
		t.Fatal(err)
	}
}
