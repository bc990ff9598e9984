package periodic_test

import (
	"strings"
	"testing"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

func TestBrokenScheduleSaysWhyAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ set, want string }{
		"a spec nobody can read":      {`spec = 'now and then'`, `spec "now and then": has 3 fields`},
		"a timezone that is none":     {`timezone = 'Mars/Olympus', spec = '@daily'`, `timezone "Mars/Olympus" is unknown`},
		"a kind of another build":     {`kind = 'sing'`, `kind "sing" is unknown`},
		"args that do not fit":        {`args = '{"day": 7}'`, `args: unknown field "day"`},
		"args that no tick can fill":  {`kind = 'day', args = '{"day": "never"}'`, `no day`},
		"args that are refused later": {`kind = 'day', args = '{"day": "bad"}'`, `a bad day`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			sync1(t, pool, pgtest.Noon, periodic.Entry{Name: "sound", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpLatest},
				periodic.Entry{Name: "broken", Args: tickArgs{}, Spec: "every 30s", CatchUp: periodic.CatchUpAll})
			exec(t, pool, `update schedules set `+tc.set+` where name = 'broken'`)
			logged := &strings.Builder{}
			now := pgtest.Noon.Add(30 * time.Second)
			dispatch := func() time.Duration {
				t.Helper()
				dispatcher := newDispatcher(t, pool, now)
				dispatcher.Log = textLog(logged)
				next, err := dispatcher.Dispatch(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return next
			}
			dispatch()
			if next := dispatch(); next != 30*time.Second { // the broken one is left alone meanwhile
				t.Errorf("the next tick is in %s", next)
			}
			if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'sound'`); n != 1 {
				t.Errorf("%d ticks of the sound schedule", n)
			}
			var reason string
			if err := pool.QueryRow(t.Context(), `select last_error from inspect.schedules where name = 'broken' and last_error_at = $1`, now).Scan(&reason); err != nil || !strings.HasPrefix(reason, tc.want) {
				t.Errorf("reason %q, want %q (%v)", reason, tc.want, err)
			}
			now = now.Add(periodic.RetryBroken)
			dispatch()
			if n := strings.Count(logged.String(), "schedule=broken"); n != 1 {
				t.Errorf("it was logged %d times, want once: %s", n, logged)
			}

			exec(t, pool, `update schedules set kind = 'tick', args = '{}', spec = 'every 30s', timezone = 'UTC' where name = 'broken'`)
			now = now.Add(periodic.RetryBroken)
			dispatch()
			if n := numbers(t, pool, `select count(*) from schedule_runs where schedule = 'broken' and outcome = 'enqueued'`); n != 3 {
				t.Errorf("%d of its 3 ticks ran once it was mended", n)
			}
			if n := numbers(t, pool, `select count(*) from schedules where last_error is not null or last_error_at is not null`); n != 0 {
				t.Error("it still says why it cannot run")
			}
		})
	}
}
