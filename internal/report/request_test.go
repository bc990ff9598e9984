package report_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
	"backoffice/internal/postgres"
	"backoffice/internal/report"
	"backoffice/jobs"
)

func TestRequestsThatNoReportCanBeMadeOfAreRefusedBeforeAnyJob(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, tc := range []struct {
		name  string
		args  jobs.GenerateReportArgs
		field string
		words []string
	}{
		{"an unknown type", jobs.GenerateReportArgs{Type: "sales", Format: "csv"}, "type", []string{`"sales"`, "order-lines"}},
		{"no type", jobs.GenerateReportArgs{Format: "csv"}, "type", []string{"order-lines"}},
		{"a format that the type does not offer", orderLines("pdf", nil), "format", []string{`"pdf"`, "csv, jsonl, xlsx"}},
		{"a parameter that the type does not have", orderLines("csv", map[string]string{"form": "2026-01-01"}), "form", []string{`"form"`, "from, to, timezone, country, currency"}},
		{"a parameter in other letters", orderLines("csv", map[string]string{"From": "2026-01-01"}), "From", []string{`"From"`}},
		{"a parameter given twice", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Params: json.RawMessage(`{"from":"2026-01-01","from":"2026-01-02"}`)}, "from", []string{"twice"}},
		{"a parameter of another type", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Params: json.RawMessage(`{"from":7}`)}, "from", []string{"string", "number"}},
		{"parameters that are no object", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Params: json.RawMessage(`[1]`)}, "params", []string{"object"}},
		{"parameters that are no JSON", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Params: json.RawMessage(`{"from":`)}, "from", []string{"JSON"}},
		{"a day that does not exist", orderLines("csv", map[string]string{"from": "2026-02-30"}), "from", []string{"2026-02-30"}},
		{"a period the wrong way round", orderLines("csv", map[string]string{"from": "2026-02-02", "to": "2026-02-01"}), "from", []string{"after"}},
		{"a period in the future", orderLines("csv", map[string]string{"from": "2026-03-05"}), "from", []string{"future", "2026-03-04"}},
		{"a timezone that does not exist", orderLines("csv", map[string]string{"timezone": "Europe/Londn"}), "timezone", []string{"Europe/Londn"}},
		{"a currency that is none", orderLines("csv", map[string]string{"currency": "pounds"}), "currency", []string{"pounds"}},
		{"an unknown period", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Period: "last-year"}, "", []string{"last-year"}},
		{"a period and its days", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Period: "yesterday", Params: json.RawMessage(`{"from":"2026-01-01"}`)}, "period", []string{"from"}},
		{"a timezone without a period", jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Timezone: "Europe/London"}, "timezone", []string{"params"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := o.tryRequest(tc.args)
			if !errors.Is(err, report.ErrInvalid) || report.FieldOf(err) != tc.field {
				t.Fatalf("error %v of field %q, want one of field %q", err, report.FieldOf(err), tc.field)
			}
			for _, word := range tc.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
			if _, checked := report.Check(tc.args); tc.field != "from" && !errors.Is(checked, report.ErrInvalid) {
				t.Errorf("Check answers %v", checked)
			}
		})
	}
	if n := o.number(`select (select count(*) from river_job) + (select count(*) from reports)`); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func TestAReportAndItsJobCommitTogether(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	dropped := errors.New("dropped")
	err := postgres.InTx(t.Context(), o.pool, func(tx pgx.Tx) error {
		if _, err := report.Request(t.Context(), tx, o.inserter, orderLines("csv", nil), pgtest.Noon); err != nil {
			return err
		}
		return dropped
	})
	if n := o.number(`select (select count(*) from river_job) + (select count(*) from reports)`); n != 0 || !errors.Is(err, dropped) {
		t.Errorf("%d rows were left by a transaction that was rolled back (%v)", n, err)
	}
	made := o.request(orderLines("csv", map[string]string{"country": "EIRE"}))
	if made.Existing || made.Report.Status != report.StatusQueued || string(made.Report.Params) != `{"country": "EIRE", "timezone": "UTC"}` {
		t.Errorf("requested %+v with %s", made, made.Report.Params)
	}
	if n := o.number(`select count(*) from river_job where id = $1 and queue = 'reports' and kind = 'generate_report'`, made.Report.JobID); n != 1 {
		t.Errorf("the report has %d jobs", n)
	}
}

func TestConcurrentIdenticalRequestsAreOneReport(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const callers = 16
	answers := make([]report.Requested, callers)
	var asking sync.WaitGroup
	for i := range callers {
		asking.Go(func() {
			args := orderLines("csv", map[string]string{"country": "EIRE", "timezone": "UTC"})
			if i%2 == 0 { // the same in other words
				args.Params = json.RawMessage(`{ "country" : "EIRE" }`)
			}
			var err error
			if answers[i], err = o.tryRequest(args); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	made := 0
	for _, answer := range answers {
		if answer.Report.ID != answers[0].Report.ID {
			t.Errorf("reports %d and %d were made", answer.Report.ID, answers[0].Report.ID)
		}
		if !answer.Existing {
			made++
		}
	}
	if n := o.number(`select count(*) from river_job`); made != 1 || n != 1 {
		t.Errorf("%d callers were told of a new report, and there are %d jobs", made, n)
	}
	if other := o.request(orderLines("jsonl", map[string]string{"country": "EIRE"})); other.Existing {
		t.Error("another format was answered with it")
	}
	if other := o.request(orderLines("csv", nil)); other.Existing {
		t.Error("other parameters were answered with it")
	}
}

func TestARepeatedRequestIsAnsweredWhileTheDataIsTheSame(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	o.work("test")
	_, first := o.make(orderLines("csv", nil))
	again := o.request(orderLines("csv", nil))
	if !again.Existing || again.Report.ID != first.ID || again.Report.Artifact == nil {
		t.Fatalf("the second request is answered by %+v, want report %d", again, first.ID)
	}
	forced := orderLines("csv", nil)
	forced.Force = true
	if again := o.request(forced); again.Existing || again.Report.ID == first.ID {
		t.Errorf("a forced request is answered by report %d", again.Report.ID)
	} else {
		o.await(again.Report.ID, report.StatusCompleted)
	}
	for _, tc := range []struct{ name, sql string }{
		{"there is more data", `insert into order_transitions (order_id, from_status, to_status, at) select min(id), 'placed', 'cancelled', now() from orders`},
		{"its artifact is about to expire", `update artifacts set expires_at = now() + interval '30 minutes'`},
		{"its artifact is being deleted", `update artifacts set deleting_at = now()`},
		{"its artifact has expired", `update reports set expired_at = now() where status = 'completed'`},
		{"the type has changed since", `update reports set version = 0`},
	} {
		latest := o.request(orderLines("csv", nil)).Report
		o.await(latest.ID, report.StatusCompleted)
		o.exec(tc.sql)
		again := o.request(orderLines("csv", nil))
		if again.Existing {
			t.Errorf("%s, and yet the answer is report %d", tc.name, again.Report.ID)
		}
		o.await(again.Report.ID, report.StatusCompleted)
	}
}

func TestAPeriodIsResolvedWhenTheReportIsAskedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	args := jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Period: "last-month", Timezone: "Europe/London"}
	made := o.request(args)
	if want := `{"to": "2026-02-28", "from": "2026-02-01", "timezone": "Europe/London"}`; string(made.Report.Params) != want {
		t.Errorf("params are %s, want %s", made.Report.Params, want)
	}
	if again := o.request(orderLines("csv", map[string]string{"from": "2026-02-01", "to": "2026-02-28", "timezone": "Europe/London"})); !again.Existing {
		t.Error("the same days are another report")
	}
}

func TestJobsThatNobodyRequestedAReportWith(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.process("A", 20)
	insert := func(args jobs.GenerateReportArgs) int64 {
		if checked, err := report.Check(args); err == nil {
			args = checked
		}
		inserted, err := o.inserter.Insert(t.Context(), args, nil)
		must(t, err)
		return inserted.Job.ID
	}
	reportOf := func(jobID int64) report.Report {
		var id int64
		pgtest.Eventually(t, "the job has ended", func() (bool, error) {
			return o.number(`select count(*) from river_job where id = $1 and finalized_at is null`, jobID) == 0, nil
		})
		id, err := report.OfJob(t.Context(), o.pool, jobID)
		must(t, err)
		if id == 0 {
			return report.Report{}
		}
		return o.get(id)
	}
	asked := insert(orderLines("csv", map[string]string{"country": "EIRE"}))
	if known := o.request(orderLines("csv", map[string]string{"country": "EIRE"})); !known.Existing || known.Report.JobID != asked {
		t.Errorf("a request is answered by %+v, want the report of job %d", known, asked)
	}
	plain := insert(orderLines("csv", nil))
	unresolved := insert(jobs.GenerateReportArgs{Type: "order-lines", Format: "csv", Period: "yesterday"})
	unknown := insert(jobs.GenerateReportArgs{Type: "sales", Format: "csv"})
	o.work("test")
	if found := reportOf(plain); found.Status != report.StatusCompleted || found.Rows != 80 {
		t.Errorf("the report of a plain job is %+v", found)
	}
	if found := reportOf(asked); found.Status != report.StatusCompleted {
		t.Errorf("the report that was asked for as well is %+v", found)
	}
	for id, words := range map[int64]string{unresolved: "period yesterday is not resolved", unknown: `type "sales" is unknown`} {
		if found := reportOf(id); found.ID != 0 {
			t.Errorf("job %d made %+v", id, found)
		}
		var state, reason string
		must(t, o.pool.QueryRow(t.Context(), `select state, last_error from inspect.jobs where id = $1`, id).Scan(&state, &reason))
		if state != "cancelled" || !strings.Contains(reason, words) {
			t.Errorf("job %d is %s (%s), want it cancelled because %s", id, state, reason, words)
		}
	}
	o.wantSound()
}

func TestListAnswersTheNewestFirst(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var ids []int64
	for _, country := range []string{"A", "B", "C"} {
		ids = append(ids, o.request(orderLines("csv", map[string]string{"country": country})).Report.ID)
	}
	for _, tc := range []struct {
		name   string
		filter report.Filter
		want   []int64
	}{
		{"all", report.Filter{}, []int64{ids[2], ids[1], ids[0]}},
		{"a page", report.Filter{After: ids[2], Limit: 1}, []int64{ids[1]}},
		{"of a type", report.Filter{Type: "order-lines", Status: report.StatusQueued}, []int64{ids[2], ids[1], ids[0]}},
		{"of a status", report.Filter{Status: report.StatusFailed}, nil},
	} {
		listed, err := report.List(t.Context(), o.pool, tc.filter)
		must(t, err)
		var got []int64
		for _, r := range listed {
			got = append(got, r.ID)
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
			continue
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
			}
		}
	}
	for field, filter := range map[string]report.Filter{"type": {Type: "x"}, "status": {Status: "x"}, "limit": {Limit: -1}} {
		if _, err := report.List(t.Context(), o.pool, filter); !errors.Is(err, report.ErrInvalid) || report.FieldOf(err) != field {
			t.Errorf("a wrong %s answers %v", field, err)
		}
	}
	if _, err := report.Get(t.Context(), o.pool, 4711); !errors.Is(err, report.ErrNotFound) {
		t.Errorf("Get of no report answers %v", err)
	}
}
