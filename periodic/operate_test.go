package periodic_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/periodic"
)

// desk is an operator at a database, at an instant.
type desk struct {
	t    *testing.T
	pool *pgxpool.Pool
	now  time.Time
}

// try makes a change, which is undone if it is refused.
func (d *desk) try(change func(periodic.Operator, pgx.Tx) (periodic.Schedule, error)) (s periodic.Schedule, err error) {
	d.t.Helper()
	inserter, err := queue.NewInserter(d.pool)
	if err != nil {
		d.t.Fatal(err)
	}
	err = pgx.BeginFunc(d.t.Context(), d.pool, func(tx pgx.Tx) error {
		s, err = change(periodic.Operator{Jobs: inserter, Decode: decode, Now: func() time.Time { return d.now }}, tx)
		return err
	})
	return s, err
}

// must makes a change that is not refused.
func (d *desk) must(change func(periodic.Operator, pgx.Tx) (periodic.Schedule, error)) periodic.Schedule {
	d.t.Helper()
	s, err := d.try(change)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *desk) add(draft periodic.Draft) func(periodic.Operator, pgx.Tx) (periodic.Schedule, error) {
	return func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
		return o.Add(d.t.Context(), tx, draft)
	}
}

func (d *desk) pause(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
	return o.Pause(d.t.Context(), tx, "often")
}

func (d *desk) resume(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
	return o.Resume(d.t.Context(), tx, "often")
}

func (d *desk) remove(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
	return o.Remove(d.t.Context(), tx, "often")
}

func (d *desk) dispatch() {
	d.t.Helper()
	if _, err := newDispatcher(d.t, d.pool, d.now).Dispatch(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

func TestUnusableScheduleIsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	sound := periodic.Draft{Name: "often", Kind: "tick", Spec: "every 30s"}
	for _, tc := range []struct {
		name   string
		change func(*periodic.Draft)
		field  string
		want   string
	}{
		{"no name", func(s *periodic.Draft) { s.Name = "" }, "name", `name "" is unusable; take up to 64 letters and digits`},
		{"a name with a slash", func(s *periodic.Draft) { s.Name = "a/b" }, "name", `name "a/b" is unusable`},
		{"a name with a dash at its end", func(s *periodic.Draft) { s.Name = "a-" }, "name", `name "a-" is unusable`},
		{"a long name", func(s *periodic.Draft) { s.Name = strings.Repeat("x", 65) }, "name", `is unusable`},
		{"an unknown kind", func(s *periodic.Draft) { s.Kind = "sing" }, "args", `kind "sing" is unknown`},
		{"args of another kind", func(s *periodic.Draft) { s.Args = json.RawMessage(`{"day": "x"}`) }, "args", `args: unknown field "day"`},
		{"args that are no JSON", func(s *periodic.Draft) { s.Args = json.RawMessage(`now`) }, "args", `args: not valid JSON`},
		{"args that no tick can fill", func(s *periodic.Draft) { s.Kind, s.Args = "day", json.RawMessage(`{"day": "never"}`) }, "args", `no day`},
		{"args that a tick spoils", func(s *periodic.Draft) { s.Kind, s.Args = "day", json.RawMessage(`{"day": "bad"}`) }, "args", `a bad day`},
		{"args that Postgres cannot store", func(s *periodic.Draft) { s.Kind, s.Args = "day", json.RawMessage(`{"day": "\u0000"}`) }, "args", `args: Postgres does not store them`},
		{"a spec nobody can read", func(s *periodic.Draft) { s.Spec = "every day" }, "spec", `spec "every day": the interval "day"`},
		{"a date that never comes", func(s *periodic.Draft) { s.Spec = "0 0 30 2 *" }, "spec", `names a date that never comes`},
		{"an unknown timezone", func(s *periodic.Draft) { s.Timezone = "Mars" }, "timezone", `timezone "Mars" is unknown`},
		{"an unknown policy", func(s *periodic.Draft) { s.CatchUp = "some" }, "catch_up", `catch-up "some" is unknown; use all, latest or skip`},
		{"a jitter below zero", func(s *periodic.Draft) { s.Jitter = -time.Second }, "jitter_seconds", `jitter -1s is out of range`},
		{"a jitter of more than an hour", func(s *periodic.Draft) { s.Jitter = 61 * time.Minute }, "jitter_seconds", `jitter 1h1m0s is out of range`},
		{"a jitter in parts of seconds", func(s *periodic.Draft) { s.Jitter = time.Millisecond }, "jitter_seconds", `whole seconds`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			draft := sound
			tc.change(&draft)
			_, err := d.try(d.add(draft))
			if !errors.Is(err, periodic.ErrInvalid) || periodic.FieldOf(err) != tc.field || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v about %q, want %q about %q", err, periodic.FieldOf(err), tc.want, tc.field)
			}
		})
	}
	if n := numbers(t, d.pool, `select count(*) from schedules`); n != 0 {
		t.Errorf("%d schedules were written", n)
	}
	d.must(d.add(sound))
	if _, err := d.try(d.add(sound)); !errors.Is(err, periodic.ErrExists) {
		t.Errorf("a second one of the same name: %v", err)
	}
	for name, change := range map[string]func(periodic.Operator, pgx.Tx) (periodic.Schedule, error){
		"remove": func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
			return o.Remove(t.Context(), tx, "nobody")
		},
		"pause": func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
			return o.Pause(t.Context(), tx, "nobody")
		},
		"resume": func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
			return o.Resume(t.Context(), tx, "nobody")
		},
		"run": func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
			_, err := o.RunNow(t.Context(), tx, "nobody")
			return periodic.Schedule{}, err
		},
	} {
		if _, err := d.try(change); !errors.Is(err, periodic.ErrNotFound) || err.Error() != `schedule "nobody" does not exist` {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddedScheduleRunsAndIsRemoved(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	added := d.must(d.add(periodic.Draft{Name: "often", Kind: "tick", Spec: "30 17 * * *", Timezone: "Asia/Kolkata", Jitter: time.Minute}))
	first := pgtest.Noon.Add(24 * time.Hour) // 17:30 there is noon: its next tick is that of tomorrow
	if added.NextRunAt == nil || !added.NextRunAt.Equal(first) || added.CatchUp != periodic.CatchUpLatest || added.JitterSeconds != 60 || added.BuiltIn || string(added.Args) != "{}" || added.LastTickAt != nil {
		t.Errorf("added as %+v", added)
	}
	if ticks := added.Upcoming(2); len(ticks) != 2 || !ticks[0].Equal(first) || !ticks[1].Equal(first.Add(24*time.Hour)) {
		t.Errorf("its next ticks are %v", ticks)
	}
	d.now = first
	d.dispatch()
	removed := d.must(d.remove)
	if removed.LastOutcome != "enqueued" || removed.LastJobState != "scheduled" || removed.LastJobID == nil {
		t.Errorf("removed as %+v", removed)
	}
	d.now = first.Add(48 * time.Hour)
	d.dispatch()
	if runs, err := periodic.Runs(t.Context(), d.pool, "often", 10); err != nil || len(runs) != 1 || !runs[0].TickAt.Equal(first) || runs[0].JobState != "scheduled" {
		t.Errorf("its ledger is %+v, %v", runs, err)
	}
	again := d.must(d.add(periodic.Draft{Name: "often", Kind: "tick", Spec: "every 30s"}))
	if !again.NextRunAt.Equal(d.now.Add(30 * time.Second)) {
		t.Errorf("added again it is due at %s", again.NextRunAt)
	}
}

func TestBuiltInIsPausedNotRemovedAndStaysAsTheOperatorLeftIt(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	entries := []periodic.Entry{
		{Name: "often", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll},
		{Name: "off", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll, Off: true},
	}
	paused := func() (names string) {
		if err := d.pool.QueryRow(t.Context(), `select coalesce(string_agg(name, ' ' order by name), '') from schedules where paused_at is not null`).Scan(&names); err != nil {
			t.Fatal(err)
		}
		return names
	}
	sync1(t, d.pool, d.now, entries...)
	if got := paused(); got != "off" {
		t.Errorf("paused are %q, want the one that is off", got)
	}
	if _, err := d.try(d.remove); !errors.Is(err, periodic.ErrBuiltIn) {
		t.Errorf("remove: %v", err)
	}
	d.must(d.pause)
	d.must(func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
		return o.Resume(t.Context(), tx, "off")
	})
	sync1(t, d.pool, d.now.Add(time.Hour), entries...)
	if got := paused(); got != "often" {
		t.Errorf("after a restart %q are paused, want often", got)
	}
}

func TestRunNowIsNoTick(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	d.must(d.add(periodic.Draft{Name: "often", Kind: "day", Spec: "every 30s", Paused: true}))
	d.must(func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
		run, err := o.RunNow(t.Context(), tx, "often")
		if err == nil && (run.Kind != "day" || run.State != "available" || run.Duplicate || run.JobID == 0) {
			t.Errorf("enqueued %+v", run)
		}
		return periodic.Schedule{}, err
	})
	if n := numbers(t, d.pool, `select count(*) from river_job where args ->> 'day' = '2026-03-04T12:00:00Z'`); n != 1 {
		t.Errorf("%d jobs about this instant", n)
	}
	if runs := ledger(t, d.pool); len(runs) != 0 {
		t.Errorf("ledger = %v", runs)
	}
	exec(t, d.pool, `update schedules set kind = 'sing', spec = 'now and then'`)
	for name, change := range map[string]func(periodic.Operator, pgx.Tx) (periodic.Schedule, error){
		`schedule "often" cannot be enqueued: kind "sing" is unknown`: func(o periodic.Operator, tx pgx.Tx) (periodic.Schedule, error) {
			_, err := o.RunNow(t.Context(), tx, "often")
			return periodic.Schedule{}, err
		},
		`schedule "often" cannot be resumed: spec "now and then"`: d.resume,
	} {
		if _, err := d.try(change); !errors.Is(err, periodic.ErrBroken) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}

func TestListTellsHowSchedulesStand(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, `insert into schedules (name, kind, spec, next_run_at, paused_at, last_error, jitter) values
		('late', 'tick', 'every 30s', now() - interval '90 seconds', null, 'nobody knows', '5 seconds'), ('quiet', 'tick', 'every 30s', now() - interval '1 hour', now(), null, '0')`)
	exec(t, pool, `insert into schedule_runs (schedule, tick_at, outcome, job_id) select 'late', now() - n * interval '1 minute', 'skipped', case when n > 1005 then 7 end from generate_series(1, 1100) n`)
	exec(t, pool, `insert into schedule_runs (schedule, tick_at, outcome) values ('quiet', now() - interval '6 days', 'skipped'), ('quiet', now() - interval '8 days', 'skipped')`)
	found, err := periodic.List(t.Context(), pool, 10)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	late, quiet := found[0], found[1]
	if late.Name != "late" || late.Missed != 1000 || late.Overdue == nil || *late.Overdue < 90*time.Second || late.Error != "nobody knows" || late.JitterSeconds != 5 || late.LastOutcome != "skipped" || late.LastJobID != nil {
		t.Errorf("late = %+v", late)
	}
	if quiet.Missed != 1 || quiet.Overdue != nil || quiet.NextRunAt != nil || quiet.PausedAt == nil {
		t.Errorf("quiet = %+v", quiet)
	}
	if found, err := periodic.List(t.Context(), pool, 1); err != nil || len(found) != 1 {
		t.Errorf("limited to one: %+v, %v", found, err)
	}
}

func TestResumedScheduleIsNotHeldBackByItsOldFault(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	d.must(d.add(periodic.Draft{Name: "often", Kind: "tick", Spec: "every 10s"}))
	exec(t, d.pool, `update schedules set kind = 'sing'`)
	d.now = pgtest.Noon.Add(10 * time.Second)
	d.dispatch()
	if s := d.must(d.pause); s.Error == "" || s.ErrorAt == nil {
		t.Fatalf("it is not broken: %+v", s)
	}
	exec(t, d.pool, `update schedules set kind = 'tick'`)
	if s := d.must(d.resume); s.Error != "" || s.ErrorAt != nil {
		t.Errorf("resumed, it still says %q", s.Error)
	}
	d.now = pgtest.Noon.Add(20 * time.Second) // sooner than what is broken is tried again
	d.dispatch()
	if diff := cmp.Diff([]run{{"12:00:20", "enqueued", true}}, ledger(t, d.pool)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}
