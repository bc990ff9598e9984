package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"backoffice/internal/api"
	"backoffice/periodic"
)

const nightly = `{"name":"night-check","kind":"reconcile_orders","spec":"30 2 * * *","timezone":"Europe/London","catch_up":"all","jitter_seconds":30}`

func TestScheduleIsAddedRunPausedResumedAndRemoved(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.post("/api/schedules", nightly, "Idempotency-Key", "k1")
	added := must[periodic.Schedule](s, got, http.StatusCreated)
	if at := got.header.Get("Location"); at != "/api/schedules/night-check" {
		t.Errorf("location = %q", at)
	}
	if added.CatchUp != periodic.CatchUpAll || added.JitterSeconds != 30 || added.BuiltIn || added.NextRunAt == nil || !added.NextRunAt.After(time.Now()) || string(added.Args) != "{}" {
		t.Errorf("added %+v", added)
	}
	if again := s.post("/api/schedules", nightly, "Idempotency-Key", "k1"); again.body != got.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("repeated: %+v", again)
	}
	s.refused(s.post("/api/schedules", nightly), http.StatusConflict, "body.name", "urn:backoffice:problem:duplicate-name", `a schedule named \"night-check\" exists`)

	run := s.post("/api/schedules/night-check/run", "")
	job := must[api.EnqueuedJob](s, run, http.StatusAccepted)
	if run.header.Get("Location") != fmt.Sprintf("/api/jobs/%d", job.ID) || job.Kind != "reconcile_orders" || job.Duplicate {
		t.Errorf("ran %+v at %q", job, run.header.Get("Location"))
	}
	if again := must[api.EnqueuedJob](s, s.post("/api/schedules/night-check/run", ""), http.StatusAccepted); again.ID != job.ID || !again.Duplicate {
		t.Errorf("ran again %+v", again)
	}
	if paused := must[periodic.Schedule](s, s.post("/api/schedules/night-check/pause", ""), http.StatusOK); paused.PausedAt == nil || paused.NextRunAt != nil {
		t.Errorf("paused %+v", paused)
	}
	story := must[api.ScheduleStory](s, s.get("/api/schedules/night-check"), http.StatusOK)
	if len(story.Upcoming) != 0 || len(story.Runs) != 0 || len(story.Actions) != 4 || story.Actions[0].Action != "pause_schedule" || story.Actions[0].Actor != "local" || story.Actions[3].Reason != "reconcile_orders 30 2 * * *" {
		t.Errorf("story = %+v", story)
	}
	if resumed := must[periodic.Schedule](s, s.post("/api/schedules/night-check/resume", ""), http.StatusOK); resumed.PausedAt != nil || resumed.NextRunAt == nil {
		t.Errorf("resumed %+v", resumed)
	}
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome, job_id) values ('night-check', now() - interval '1 minute', 'enqueued', $1)`, job.ID)
	story = must[api.ScheduleStory](s, s.get("/api/schedules/night-check"), http.StatusOK)
	if len(story.Upcoming) != 5 || !story.Upcoming[0].Equal(*story.NextRunAt) || len(story.Runs) != 1 || story.Runs[0].JobState != "available" || story.LastJobState != "available" {
		t.Errorf("story = %+v", story)
	}
	if removed := must[periodic.Schedule](s, s.do(http.MethodDelete, "/api/schedules/night-check", ""), http.StatusOK); removed.Name != "night-check" {
		t.Errorf("removed %+v", removed)
	}
	if left := must[api.Schedules](s, s.get("/api/schedules"), http.StatusOK); len(left.Schedules) != 0 {
		t.Errorf("left are %+v", left)
	}
	if got := one[string](s, `select string_agg(action, ' ' order by id) from audit_log where target = 'schedule night-check'`); got != "add_schedule run_schedule run_schedule pause_schedule resume_schedule remove_schedule" {
		t.Errorf("audit_log has %s", got)
	}
}

func TestUnusableScheduleIsRefusedByItsPlace(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	with := func(field, value string) string {
		return strings.Replace(nightly, `"kind":`, fmt.Sprintf(`%q:%s,"kind":`, field, value), 1)
	}
	without := func(text string) string { return strings.Replace(nightly, text, "", 1) }
	for _, tc := range []struct{ name, body, at, words string }{
		{"no name", without(`"name":"night-check",`), "body", "name"},
		{"a name of no form", strings.Replace(nightly, "night-check", "night/check", 1), "body.name", "letters and digits"},
		{"an unknown kind", strings.Replace(nightly, "reconcile_orders", "sing", 1), "body.kind", `kind \"sing\" is unknown; this program knows`},
		{"args of another kind", with("args", `{"order_id":1}`), "body.args.order_id", "unexpected property"},
		{"an order that is none", strings.Replace(with("args", `{"order_id":41}`), "reconcile_orders", "process_order", 1), "body.args.order_id", "order 41 does not exist"},
		{"a spec nobody can read", strings.Replace(nightly, "30 2 * * *", "30 2 * *", 1), "body.spec", "has 4 fields"},
		{"a date that never comes", strings.Replace(nightly, "30 2 * * *", "0 0 30 2 *", 1), "body.spec", "never comes"},
		{"an unknown timezone", strings.Replace(nightly, "Europe/London", "Europe/Lodnon", 1), "body.timezone", "is unknown; use a name like Europe/London"},
		{"an unknown policy", strings.Replace(nightly, `"all"`, `"some"`, 1), "body.catch_up", "expected value to be one of"},
		{"too much jitter", strings.Replace(nightly, `:30`, `:3601`, 1), "body.jitter_seconds", "3600"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.refused(s.post("/api/schedules", tc.body), http.StatusUnprocessableEntity, tc.at, tc.words)
		})
	}
	if n := one[int](s, `select (select count(*) from schedules) + (select count(*) from audit_log)`); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func TestScheduleThatCannotBeChangedSaysWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into schedules (name, kind, args, spec, built_in, paused_at) values ('broken', 'reconcile_orders', '{"x": 1}', 'now and then', true, now())`)
	s.refused(s.do(http.MethodDelete, "/api/schedules/broken", ""), http.StatusConflict, "", "urn:backoffice:problem:built-in", "pause it instead")
	s.refused(s.post("/api/schedules/broken/resume", ""), http.StatusConflict, "", "urn:backoffice:problem:broken-schedule", `cannot be resumed: spec \"now and then\"`)
	s.refused(s.post("/api/schedules/broken/run", ""), http.StatusConflict, "", "urn:backoffice:problem:broken-schedule", `cannot be enqueued: args: unknown field \"x\"`)
	for _, path := range []string{"/api/schedules/nobody/run", "/api/schedules/nobody/pause", "/api/schedules/nobody/resume"} {
		s.refused(s.post(path, ""), http.StatusNotFound, "path.name", `schedule \"nobody\" does not exist`)
	}
	s.refused(s.get("/api/schedules/nobody"), http.StatusNotFound, "path.name")
	s.refused(s.do(http.MethodDelete, "/api/schedules/nobody", ""), http.StatusNotFound, "path.name")
	s.refused(s.post("/api/schedules/*/pause", ""), http.StatusUnprocessableEntity, "path.name")
	if n := one[int](s, `select count(*) from audit_log`); n != 0 {
		t.Errorf("%d actions were written down", n)
	}
	for _, op := range [][2]string{{"POST", "/api/schedules"}, {"POST", "/api/schedules/broken/run"}, {"POST", "/api/schedules/broken/pause"}, {"POST", "/api/schedules/broken/resume"}, {"DELETE", "/api/schedules/broken"}} {
		body := ""
		if op[1] == "/api/schedules" {
			body = nightly
		}
		s.refused(s.do(op[0], op[1], body, s.key(strings.NewReplacer("/", "-").Replace("reader"+op[0]+op[1]), api.ScopeRead, api.ScopeEnqueue)...), http.StatusForbidden, "header.Authorization", "operate")
	}
}

func TestStatusShowsTheTimetable(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into worker_processes (client_id, host, pid, version, queues, started_at, beat_at) values ('lively', 'h', 1, 'v1', '{orders}', now(), now() + interval '1 hour')`)
	s.exec(`insert into river_job (id, kind, queue, args, state, max_attempts, attempt, attempted_at, finalized_at) values (77, 'reconcile_orders', 'maintenance', '{}', 'completed', 3, 1, now(), now())`)
	s.exec(`insert into schedules (name, kind, spec, timezone, next_run_at, paused_at, last_error) values
		('punctual', 'reconcile_orders', '0 6 * * *', 'Europe/London', '2126-03-04 06:00Z', null, null),
		('overdue', 'reconcile_orders', 'every 30s', 'UTC', now() - interval '5 minutes', null, null),
		('broken', 'reconcile_orders', 'every 30s', 'UTC', now(), null, 'kind <b>sing</b> is unknown'),
		('resting', 'reconcile_orders', 'every 30s', 'UTC', now() - interval '5 minutes', now(), null)`)
	s.exec(`insert into schedule_runs (schedule, tick_at, outcome, job_id) values ('punctual', '2026-03-04 06:00Z', 'enqueued', 77), ('overdue', now() - interval '6 minutes', 'skipped', null), ('overdue', now() - interval '7 minutes', 'skipped', null)`)
	page := s.page("/", http.StatusOK)
	for name, want := range map[string]string{
		"punctual": "punctual 0 6 * * * Europe/London 2126-03-04 06:00:00 2026-03-04 06:00:00 77 completed 0",
		"broken":   "broken broken every 30s kind <b>sing</b> is unknown ",
		"resting":  "resting paused every 30s – – – 0",
	} {
		if got := part(t, page, "schedule-"+name, "</tr>"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := part(t, page, "schedule-overdue", "</tr>"); !strings.HasPrefix(got, "overdue overdue every 30s ") || !strings.HasSuffix(got, " missed 2") {
		t.Errorf("overdue: %q", got)
	}
	wants(t, seen(page), "Schedule broken cannot be enqueued; see Schedules.", "Schedule overdue is overdue by 5 min.")
	if strings.Contains(page, "<b>sing") || strings.Contains(seen(page), "Schedule resting") {
		t.Error("the page believes an error's text, or complains of a paused schedule")
	}
	s.exec(`delete from schedules`)
	wants(t, part(t, s.page("/", http.StatusOK), "schedules", "</section>"), "No schedule yet")
}
