package periodic_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

func TestTicksOfAPauseAreNotMadeUpFor(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	d.must(d.add(periodic.Draft{Name: "often", Kind: "tick", Spec: "every 30s", CatchUp: periodic.CatchUpAll}))
	at := func(after time.Duration) { d.now = pgtest.Noon.Add(after) }
	at(30 * time.Second)
	d.dispatch()
	at(45 * time.Second)
	for range 2 { // the second changes nothing
		if s := d.must(d.pause); s.PausedAt == nil || !s.PausedAt.Equal(d.now) || s.NextRunAt != nil || len(s.Upcoming(3)) != 0 {
			t.Errorf("paused as %+v", s)
		}
	}
	at(100 * time.Second)
	d.dispatch()
	for range 2 {
		if s := d.must(d.resume); s.PausedAt != nil || !s.NextRunAt.Equal(pgtest.Noon.Add(2*time.Minute)) {
			t.Errorf("resumed as %+v", s)
		}
	}
	d.must(d.pause)
	d.must(d.resume) // between two ticks: no tick is left out
	at(2 * time.Minute)
	d.dispatch()
	if diff := cmp.Diff([]run{{"12:00:30", "enqueued", true}, {"12:02:00", "enqueued", true}}, ledger(t, d.pool)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if n := numbers(t, d.pool, `select count(*) from schedule_gaps where cause = 'paused' and from_at = $1 and until_at = $2`, pgtest.Noon.Add(time.Minute), pgtest.Noon.Add(2*time.Minute)); n != 1 {
		t.Errorf("the pause is told %d times", n)
	}
	if n := numbers(t, d.pool, `select count(*) from schedule_gaps`); n != 1 {
		t.Errorf("%d gaps, want one", n)
	}
}

// Plain SQL may set a schedule back to where a pause began that is told already.
func TestPauseIsToldOnceWhenAScheduleIsSetBack(t *testing.T) {
	t.Parallel()
	d := &desk{t, pgtest.Pool(t), pgtest.Noon}
	d.must(d.add(periodic.Draft{Name: "often", Kind: "tick", Spec: "every 30s", Paused: true}))
	for _, until := range []time.Duration{time.Minute, 2 * time.Minute} {
		d.now = pgtest.Noon.Add(until - time.Second)
		d.must(d.resume)
		d.must(d.pause)
		exec(t, d.pool, `update schedules set next_run_at = $1`, pgtest.Noon.Add(30*time.Second))
	}
	if n := numbers(t, d.pool, `select count(*) from schedule_gaps where from_at = $1 and until_at = $2`, pgtest.Noon.Add(30*time.Second), pgtest.Noon.Add(2*time.Minute)); n != 1 {
		t.Error("the ledger does not tell of one pause up to the last one's end")
	}
	if _, err := d.pool.Exec(t.Context(), `update schedules set next_run_at = '-infinity'`); err == nil {
		t.Error("a schedule may be due at no instant, which no dispatcher can wait for")
	}
}
