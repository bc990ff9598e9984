package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

func TestManifestTellsTheSecondsAsTheyAreStored(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, _ := s.madeCSV()
	s.exec(`update artifacts set took = '5.8123 seconds'`) // 5 + 0.8123 is 5.8123000000000005 to a computer
	if got := s.get(fmt.Sprintf("/api/reports/%d", id)); !strings.Contains(got.body, `"took_seconds":5.8123,`) {
		t.Errorf("report = %s", got.body)
	}
}

func TestReportIsAskedForFollowedAndDownloaded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell(100)
	got := s.post("/api/reports/generate", `{"type":"order-lines","format":"csv","params":{"from":"2010-12-01","to":"2011-05-31","country":"France"}}`)
	asked := must[api.RequestedReport](s, got, http.StatusAccepted)
	path := got.header.Get("Location")
	if path != fmt.Sprintf("/api/reports/%d", asked.ID) || got.header.Get("Retry-After") == "" || asked.Existing || asked.Status != "queued" || asked.Manifest != nil || asked.Download != "" {
		t.Errorf("answer = %v %s", got.header, got.body)
	}
	waiting := s.get(path)
	if r := must[api.Report](s, waiting, http.StatusOK); r.Status != "queued" || r.Percent != 0 || waiting.header.Get("Retry-After") == "" {
		t.Errorf("while it waits: %v %s", waiting.header, waiting.body)
	}
	s.refused(s.get(path+"/download"), http.StatusConflict, "", "report-not-ready")
	if after := s.get(path + "/download").header.Get("Retry-After"); after == "" {
		t.Error("a report that is not ready does not say when to look again")
	}

	s.startReports()
	r := s.finished(asked.ID)
	if r.Status != "completed" || r.Percent != 100 || r.Manifest == nil || r.Error != "" || r.Download != path+"/download" {
		t.Fatalf("report = %+v", r)
	}
	if done := s.get(path); done.header.Get("Retry-After") != "" {
		t.Error("a completed report says when to look again")
	}
	file := s.get(r.Download)
	want := one[int64](s, `select count(*) from orders where country = 'France'`)
	if rows := int64(strings.Count(file.body, "\n")) - 1; rows != want || r.Manifest.Rows != want || r.Rows != want {
		t.Errorf("%d rows in the file, %d in the manifest, %d told; want %d", rows, r.Manifest.Rows, r.Rows, want)
	}
	sum := sumOf(file.body)
	if r.Manifest.SHA256 != sum || file.header.Get("ETag") != `"`+sum+`"` || r.Manifest.Bytes != int64(len(file.body)) {
		t.Errorf("sha256 of the file = %s; manifest %+v, headers %v", sum, r.Manifest, file.header)
	}
	for name, want := range map[string]string{
		"Content-Type": r.Manifest.ContentType, "Content-Length": fmt.Sprint(len(file.body)), "Accept-Ranges": "bytes",
		"Content-Disposition": "attachment; filename=" + r.Manifest.FileName, "X-Content-Type-Options": "nosniff",
	} {
		if got := file.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(file.header.Get("Repr-Digest"), "sha-256=:") {
		t.Errorf("Repr-Digest = %q", file.header.Get("Repr-Digest"))
	}
}

func TestReportThatCannotBeMadeIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, tc := range map[string]struct {
		body, at string
		words    []string
	}{
		"an unknown type":                      {`{"type":"weather","format":"csv"}`, "body.type", []string{"weather", "order-lines"}},
		"no type":                              {`{"format":"csv"}`, "body", []string{"type"}},
		"a format that the type does not have": {`{"type":"order-lines","format":"pdf"}`, "body.format", []string{"pdf", "csv"}},
		"a format that nothing has":            {`{"type":"order-lines","format":"docx"}`, "body.format", nil},
		"an unknown parameter":                 {`{"type":"order-lines","format":"csv","params":{"colour":"red"}}`, "body.params.colour", []string{"colour"}},
		"a day that does not exist":            {`{"type":"order-lines","format":"csv","params":{"from":"2011-02-29"}}`, "body.params.from", []string{"2011-02-29"}},
		"a period the wrong way round":         {`{"type":"order-lines","format":"csv","params":{"from":"2011-05-31","to":"2010-12-01"}}`, "body.params.from", []string{"swap"}},
		"a timezone that does not exist":       {`{"type":"order-lines","format":"csv","params":{"timezone":"Europe/Lodnon"}}`, "body.params.timezone", []string{"Lodnon"}},
		"a period and days":                    {`{"type":"order-lines","format":"csv","period":"yesterday","params":{"from":"2010-12-01"}}`, "body.period", []string{"from"}},
		"an unknown period":                    {`{"type":"order-lines","format":"csv","period":"last-year"}`, "body.period", nil},
		"a timezone beside days":               {`{"type":"order-lines","format":"csv","timezone":"Europe/London"}`, "body.timezone", []string{"params"}},
		"a number where text is wanted":        {`{"type":"order-lines","format":"csv","params":{"country":7}}`, "body.params.country", []string{"country"}},
		"a period in the future":               {`{"type":"order-lines","format":"csv","params":{"from":"2999-01-01","to":"2999-01-31"}}`, "body.params.from", []string{"2999"}},
	} {
		t.Run(name, func(t *testing.T) {
			(&shop{t: t}).refused(s.post("/api/reports/generate", tc.body), http.StatusUnprocessableEntity, tc.at, tc.words...)
		})
	}
	if got := s.counts(t); got != "0 reports, 0 jobs" {
		t.Errorf("%s were written, want none", got)
	}
}

func TestSameReportIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell(10)
	first := s.askFor(lines)
	again := must[api.RequestedReport](s, s.post("/api/reports/generate", `{"format":"csv","params":{"timezone":"UTC"},"type":"order-lines"}`), http.StatusAccepted)
	if again.ID != first || !again.Existing {
		t.Errorf("the same in flight: report %d, existing %t; want %d", again.ID, again.Existing, first)
	}
	other := s.askFor(`{"type":"order-lines","format":"jsonl"}`)
	s.startReports()
	s.finished(first)
	s.finished(other)
	got := s.post("/api/reports/generate", lines)
	if again = must[api.RequestedReport](s, got, http.StatusOK); again.ID != first || !again.Existing || again.Download == "" || again.Manifest == nil || got.header.Get("Retry-After") != "" {
		t.Errorf("the same of the same data: %v %s", got.header, got.body)
	}
	forced := s.askFor(`{"type":"order-lines","format":"csv","force":true}`)
	if forced == first {
		t.Error("force answered the report that there was")
	}
	if r := s.finished(forced); r.Manifest.SHA256 != again.Manifest.SHA256 {
		t.Error("the same data gave other bytes")
	}
	s.sell(1)
	if fresh := s.askFor(lines); fresh == first || fresh == forced {
		t.Error("a report of older data was the answer")
	}
}

func TestConcurrentRequestsMakeOneReport(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell(10)
	var mu sync.Mutex
	ids, bodies := map[string]bool{}, map[string]string{}
	var asking sync.WaitGroup
	for n := range 48 {
		asking.Go(func() {
			key := fmt.Sprintf("night %d", n%6)
			headers := []string{"Idempotency-Key", key}
			if n%6 == 5 { // some carry none
				headers = nil
			}
			for {
				got, err := s.try(http.MethodPost, "/api/reports/generate", lines, headers...)
				if err != nil {
					t.Error(err)
					return
				}
				if got.status == http.StatusConflict && got.header.Get("Retry-After") != "" || got.status == http.StatusServiceUnavailable {
					continue // as a client does
				}
				mu.Lock()
				defer mu.Unlock()
				if got.status != http.StatusAccepted {
					t.Errorf("%d: %s", got.status, got.body)
				}
				if earlier, ok := bodies[key]; headers != nil && ok && earlier != got.body {
					t.Errorf("key %q was answered\n%s\nand\n%s", key, earlier, got.body)
				}
				bodies[key] = got.body
				ids[got.header.Get("Location")] = true
				return
			}
		})
	}
	asking.Wait()
	if got := s.counts(t); len(ids) != 1 || got != "1 reports, 1 jobs" {
		t.Errorf("%d places, %s; want one of each", len(ids), got)
	}
	s.refused(s.post("/api/reports/generate", `{"type":"order-lines","format":"jsonl"}`, "Idempotency-Key", "night 1"), http.StatusUnprocessableEntity, "header.Idempotency-Key")
}

func TestReportsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for n := range 7 {
		s.askFor(fmt.Sprintf(`{"type":"order-lines","format":"csv","params":{"country":"C%d"}}`, n))
	}
	s.exec(`update reports set status = 'failed', error = 'disk full', finished_at = now() where id % 2 = 0`)
	var ids []int64
	for path := "/api/reports?limit=2&status=queued"; path != ""; {
		page := must[api.Reports](s, s.get(path), http.StatusOK)
		for _, r := range page.Reports {
			ids = append(ids, r.ID)
		}
		path = page.Next
	}
	if fmt.Sprint(ids) != "[7 5 3 1]" {
		t.Errorf("queued reports = %v", ids)
	}
	if page := must[api.Reports](s, s.get("/api/reports?type=order-lines"), http.StatusOK); len(page.Reports) != 7 || page.Next != "" || page.Reports[1].Error != "disk full" {
		t.Errorf("all reports: %+v", page)
	}
	s.refused(s.get("/api/reports?type=weather"), http.StatusUnprocessableEntity, "query.type", "weather")
	s.refused(s.get("/api/reports?status=done"), http.StatusUnprocessableEntity, "query.status")
	s.refused(s.get("/api/reports/99"), http.StatusNotFound, "path.id", "report 99")
	s.refused(s.get("/api/reports/99/download"), http.StatusNotFound, "path.id", "report 99")
	s.refused(s.do(http.MethodDelete, "/api/reports/99", ""), http.StatusNotFound, "path.id", "report 99")
}

func TestTypesTellFormatsAndParams(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, kind := range must[api.ReportTypes](s, s.get("/api/reports/types"), http.StatusOK).Types {
		if kind.Title == "" || kind.About == "" || len(kind.Formats) == 0 {
			t.Errorf("%+v", kind)
		}
		for _, p := range kind.Params {
			if p.About == "" || p.Type == "" {
				t.Errorf("parameter %s of %s is not explained: %+v", p.Name, kind.Name, p)
			}
		}
	}
}

func TestCancelledReportEndsWithItsJob(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	night := s.key("night", api.ScopeOperate, api.ScopeRead, api.ScopeEnqueue)
	shopKey := s.key("shop", api.ScopeEnqueue)
	id := must[api.RequestedReport](s, s.post("/api/reports/generate", lines, shopKey...), http.StatusAccepted).ID
	path := fmt.Sprintf("/api/reports/%d", id)
	s.refused(s.do(http.MethodDelete, path, "", shopKey...), http.StatusForbidden, "header.Authorization", "operate")
	r := must[api.Report](s, s.do(http.MethodDelete, path, "", night...), http.StatusOK)
	if r.Status != "cancelled" || r.FinishedAt == nil {
		t.Errorf("report = %+v", r)
	}
	if state := one[string](s, `select state::text from river_job where id = $1`, r.JobID); state != "cancelled" {
		t.Errorf("its job is %s", state)
	}
	if audit := one[string](s, `select actor || ' ' || action || ' ' || target from audit_log`); audit != fmt.Sprintf("key night cancel_report report %d", id) {
		t.Errorf("audit = %q", audit)
	}
	s.refused(s.do(http.MethodDelete, path, "", night...), http.StatusConflict, "", "too-late", "cancelled already")
	s.refused(s.get(path+"/download", night...), http.StatusConflict, "", "report-failed")

	byJob := must[api.RequestedReport](s, s.post("/api/reports/generate", lines, night...), http.StatusAccepted)
	must[api.JobStory](s, s.post(fmt.Sprintf("/api/jobs/%d/cancel", byJob.JobID), "", night...), http.StatusOK)
	if r := must[api.Report](s, s.get(fmt.Sprintf("/api/reports/%d", byJob.ID), night...), http.StatusOK); r.Status != "cancelled" {
		t.Errorf("the report of a cancelled job is %s", r.Status)
	}
}

func TestCancelStopsAReportThatIsBeingMade(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell(10)
	held, err := s.pool.Begin(t.Context()) // a writer that is not done yet: the work waits for it
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(t.Context()) //nolint:errcheck // it has written nothing
	if _, err := held.Exec(t.Context(), `lock table order_transitions in row exclusive mode`); err != nil {
		t.Fatal(err)
	}
	s.startReports()
	id := s.askFor(lines)
	path := fmt.Sprintf("/api/reports/%d", id)
	pgtest.Eventually(t, "the report is at work", func() (bool, error) {
		return must[api.Report](s, s.get(path), http.StatusOK).Status == "running", nil
	})
	job := must[api.Report](s, s.do(http.MethodDelete, path, ""), http.StatusOK).JobID
	pgtest.Eventually(t, "its job has ended", func() (bool, error) {
		return one[string](s, `select state::text from river_job where id = $1`, job) == "cancelled", nil
	})
	if r := must[api.Report](s, s.get(path), http.StatusOK); r.Status != "cancelled" || r.Manifest != nil {
		t.Errorf("report = %+v", r)
	}
}

// A job of any kind can be enqueued by name: what a report's args leave to the present is settled then.
func TestReportEnqueuedAsAJobHasItsDaysSettled(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	must[api.EnqueuedJob](s, s.post("/api/jobs", `{"kind":"generate_report","args":{"type":"order-lines","format":"csv","period":"yesterday"}}`), http.StatusAccepted)
	if args := one[string](s, `select args::text from river_job`); strings.Contains(args, "yesterday") || !strings.Contains(args, `"from"`) {
		t.Errorf("args = %s", args)
	}
	s.refused(s.post("/api/jobs", `{"kind":"generate_report","args":{"type":"weather","format":"csv"}}`), http.StatusUnprocessableEntity, "body.args", "weather")
}
