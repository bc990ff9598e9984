package main

import (
	"os"
	"strings"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/periodic"
)

func TestScheduleOfAnOperatorFromItsBirthToItsEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	contains(t, s.text("schedules", "list"), "no schedules; the first worker process brings the built-in ones")
	contains(t, s.text("schedules", "add", "night-check", "--kind", "reconcile_orders", "--spec", "30 1 * * MON-FRI", "--timezone", "Europe/London", "--catch-up", "all", "--jitter", "90s"),
		"schedule night-check is added; it is due next at 20")
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome) values ('night-check', '2026-03-04 01:30Z', 'skipped')`)
	s.exec(`update schedules set next_run_at = '2126-10-25 00:30Z'`)
	contains(t, s.text("schedules", "list"), "NAME", "night-check", "30 1 * * MON-FRI", "Europe/London", "2126-10-25 00:30:00Z", "2026-03-04 01:30:00Z", "skipped", "on time")
	shown := s.text("schedules", "show", "night-check")
	contains(t, shown, "enqueues      reconcile_orders {}", "due           30 1 * * MON-FRI, Europe/London", "all run (catch-up all)", "jitter        up to 1m30s", "built in      false",
		"EUROPE/LONDON", "2126-10-25 01:30:00 +0100  2126-10-25 00:30:00Z", "2126-10-28 01:30:00 +0000  2126-10-28 01:30:00Z", "2026-03-04 01:30:00Z  skipped", "add schedule  reconcile_orders 30 1 * * MON-FRI", "cli ")
	contains(t, s.text("schedules", "pause", "night-check", "--reason", "stocktaking"), "schedule night-check is paused\n")
	contains(t, s.text("schedules", "list"), "paused since 20")

	contains(t, s.text("schedules", "run", "night-check"), "of kind reconcile_orders in queue maintenance is available\n")
	contains(t, s.text("schedules", "run", "night-check"), "it was enqueued before and is not finished")
	s.text("worker", "--once")
	contains(t, s.text("schedules", "run", "night-check"), "is available\n")

	contains(t, s.text("schedules", "resume", "night-check"), "schedule night-check is resumed; it is due next at 20")
	var story scheduleStory
	s.json(&story, "schedules", "show", "night-check")
	if story.Name != "night-check" || story.JitterSeconds != 90 || len(story.Upcoming) != 5 || len(story.Runs) != 1 || len(story.Actions) != 6 || story.Actions[0].Action != "resume_schedule" || story.Actions[4].Reason != "stocktaking" {
		t.Errorf("story = %+v", story)
	}
	if host, _ := os.Hostname(); !strings.HasSuffix(story.Actions[0].Actor, "@"+host) {
		t.Errorf("actor = %q", story.Actions[0].Actor)
	}
	contains(t, s.text("schedules", "remove", "night-check"), "schedule night-check is removed; its ledger is kept")
	if n := s.number(`select (select count(*) from schedules where not built_in) + (select count(*) from schedule_runs where schedule = 'night-check')`); n != 1 {
		t.Errorf("%d rows are left, want that of the ledger", n)
	}
	refused(t, s.try("schedules", "remove", "night-check"), exitFailed, `schedule "night-check" does not exist`)
}

func TestUnusableScheduleIsRefusedWithExitCode2(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	add := func(name string, change ...string) []string {
		flags := map[string]string{"--kind": "reconcile_orders", "--spec": "@daily"}
		for i := 0; i < len(change); i += 2 {
			flags[change[i]] = change[i+1]
		}
		args := []string{"schedules", "add", name}
		for flag, value := range flags {
			args = append(args, flag+"="+value)
		}
		return args
	}
	for _, tc := range []struct {
		name  string
		args  []string
		code  int
		words string
	}{
		{"no name", []string{"schedules", "add", "--kind", "reconcile_orders", "--spec", "@daily"}, exitUsage, "schedules add wants NAME"},
		{"no kind", []string{"schedules", "add", "x", "--spec", "@daily"}, exitUsage, "schedules add wants --kind KIND and --spec SPEC"},
		{"a name of no form", add("a/b"), exitUsage, `name "a/b" is unusable`},
		{"an unknown kind", add("x", "--kind", "sing"), exitUsage, `kind "sing" is unknown; this build knows`},
		{"args of another kind", add("x", "--args", `{"order_id": 1}`), exitUsage, `args: unknown field "order_id"`},
		{"args that are no JSON", add("x", "--args", `now`), exitUsage, `args: not valid JSON`},
		{"an order that is none", add("x", "--kind", "process_order", "--args", `{"order_id": 41}`), exitFailed, `order 41 does not exist`},
		{"a cron line of four fields", add("x", "--spec", "30 2 * *"), exitUsage, `spec "30 2 * *": has 4 fields`},
		{"30 February", add("x", "--spec", "0 0 30 2 *"), exitUsage, `names a date that never comes`},
		{"an unknown timezone", add("x", "--timezone", "Europe/Lodnon"), exitUsage, `timezone "Europe/Lodnon" is unknown; use a name like Europe/London`},
		{"an unknown policy", add("x", "--catch-up", "some"), exitUsage, `catch-up "some" is unknown`},
		{"too much jitter", add("x", "--jitter", "2h"), exitUsage, `jitter 2h0m0s is out of range`},
		{"a worker's timezone", []string{"worker", "--timezone", "Mars"}, exitUsage, `--timezone: timezone "Mars" is unknown`},
	} {
		t.Run(tc.name, func(t *testing.T) { refused(t, s.try(tc.args...), tc.code, tc.words) })
	}
	if n := s.number(`select (select count(*) from schedules) + (select count(*) from audit_log)`); n != 0 {
		t.Errorf("%d rows were written", n)
	}
	s.text("schedules", "add", "x", "--kind", "reconcile_orders", "--spec", "@daily", "--paused")
	refused(t, s.try(add("x")...), exitFailed, `a schedule named "x" exists`)
}

// A worker process brings the built-in timetable, in the timezone it is told, dispatches what operators add
// within moments, and leaves what they have changed as it is.
func TestWorkerBringsTheTimetableAndDispatchesChangesAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, mode := range []string{"--poll-only=false", "--poll-only"} {
		t.Run(mode, func(t *testing.T) {
			stop := s.startWorker(mode, "--timezone", "Asia/Kolkata")
			defer stop()
			pgtest.Eventually(t, "the timetable is there", func() (bool, error) {
				return s.number(`select count(*) from schedules where built_in`) == len(periodic.BuiltIn("")), nil
			})
			name := "often" + strings.ReplaceAll(mode, "=", "")
			name = strings.ReplaceAll(name, "--", "-")
			s.text("schedules", "add", name, "--kind", "reconcile_orders", "--spec", "every 1s")
			pgtest.Eventually(t, "three of its ticks are in the ledger", func() (bool, error) {
				return s.number(`select count(*) from schedule_runs where schedule = $1`, name) >= 3, nil
			})
			s.text("schedules", "pause", name)
			t.Logf("the first tick was settled %d ms after it", s.number(`select (extract(epoch from at - tick_at) * 1000)::integer from schedule_runs where schedule = $1 order by tick_at limit 1`, name))
			contains(t, s.text("schedules", "show", "sales-summary-daily"), "0 6 * * *, Asia/Kolkata", "06:00:00 +0530", "00:30:00Z", `"period": "yesterday"`)
			if mode == "--poll-only" {
				return
			}
			contains(t, s.text("schedules", "list"), "sales-summary-weekly", "paused since")
			s.text("schedules", "resume", "sales-summary-weekly")
			refused(t, s.try("schedules", "remove", "sales-summary-weekly"), exitFailed, "pause it instead")
		})
	}
	if n := s.number(`select count(*) from schedules where name = 'sales-summary-weekly' and paused_at is null`); n != 1 {
		t.Error("a restart has paused what the operator resumed")
	}
	contains(t, s.text("verify"), "schedule_due")
}

// startWorker runs a worker process in this program until the function it answers is called.
func (s shop) startWorker(flags ...string) (stop func()) {
	s.t.Helper()
	command := process(s.t, append([]string{"worker", "--database-url", s.url}, flags...)...)
	var output strings.Builder
	command.Stderr = &output
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		_ = command.Process.Signal(os.Interrupt) // it may have ended by itself, as Wait tells
		if err := command.Wait(); err != nil {
			s.t.Errorf("worker: %v\n%s", err, &output)
		}
		for line := range strings.Lines(output.String()) {
			if strings.Contains(line, "ERROR") {
				s.t.Error(line)
			}
		}
	}
}
