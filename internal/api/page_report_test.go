package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"backoffice/internal/api"
)

func TestReportPagesTellHowReportsStand(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wants(t, s.page("/", http.StatusOK), "No report yet")
	wants(t, s.page("/reports", http.StatusOK), "No reports yet")
	wants(t, s.page("/reports?status=failed", http.StatusOK), "No reports of this status.")
	done, whole := s.madeCSV()
	s.exec(`update reports set requested_at = '2026-03-04 12:00:00Z', started_at = '2026-03-04 12:00:02Z', finished_at = '2026-03-04 12:00:04Z'`)
	running := s.askFor(`{"type":"order-lines","format":"jsonl"}`)
	s.exec(`update reports set status = 'running', started_at = now() - interval '30 seconds', rows = 1234567, bytes = 56700000, done = 0.4567 where id = $1`, running)
	failed := s.askFor(lines)
	s.exec(`update reports set status = 'failed', finished_at = now(), error = $2 where id = $1`, failed, "disk full "+script)

	page := s.page("/", http.StatusOK)
	if got, want := part(t, page, fmt.Sprintf("report-%d", done), "</tr>"), fmt.Sprintf("Order lines %d completed 100%% 3 %d B 2026-03-04 12:00:00 Download csv", done, len(whole)); got != want {
		t.Errorf("row = %q, want %q", got, want)
	}
	wants(t, part(t, page, fmt.Sprintf("report-%d", running), "</tr>"), "running 45.6%", "s left", "1,234,567", "57 MB")
	wants(t, page, `<progress value="45.6" max="100">`, fmt.Sprintf(`href="/reports/%d/download"`, done))
	if strings.Contains(page, fmt.Sprintf(`href="/reports/%d/download"`, running)) {
		t.Error("a report that is not complete has a link to download it")
	}
	wants(t, s.page("/reports?status=completed", http.StatusOK), "Download csv")
	if strings.Contains(s.page("/reports?status=completed", http.StatusOK), "jsonl") {
		t.Error("a list of completed reports holds one that runs")
	}

	story := s.page(fmt.Sprintf("/reports/%d", done), http.StatusOK)
	wants(t, seen(story), "Order lines", "Download order-lines.csv", sumOf(whole), "after 2 s of work", "which is deleted", `"timezone": "UTC"`, fmt.Sprintf("backoffice reports download %d", done))
	story = s.page(fmt.Sprintf("/reports/%d", running), http.StatusOK)
	job := one[int64](s, `select job_id from reports where id = $1`, running)
	wants(t, story, fmt.Sprintf(`href="/jobs/%d"`, job), fmt.Sprintf("backoffice reports cancel %d", running), `data-refresh="2"`)
	wants(t, s.page(fmt.Sprintf("/jobs/%d", job), http.StatusOK), fmt.Sprintf(`href="/reports/%d"`, running))
	wants(t, s.page(fmt.Sprintf("/reports/%d", failed), http.StatusOK), "disk full &lt;script&gt;", `data-refresh="0"`)
	s.exec(`update reports set expired_at = now() where id = $1`, done)
	s.exec(`update artifacts set deleting_at = now()`)
	wants(t, s.page(fmt.Sprintf("/reports/%d", done), http.StatusOK), "Its time is over")
	wants(t, s.page(fmt.Sprintf("/reports/%d/download", done), http.StatusGone), "Gone")
	for path, sentence := range map[string]string{
		"/reports/99": "There is no report 99.", "/reports/x": "is no id of a report", "/reports?status=lost": "No report can have status",
		"/reports?before=x": "is no id of a report", "/reports/99/download": "Report 99 does not exist", "/reports/x/download": "is no id of a report",
	} {
		wants(t, s.page(path, http.StatusNotFound), sentence)
	}
	wants(t, s.page(fmt.Sprintf("/search?q=%d", running), http.StatusOK), fmt.Sprintf("Report %d", running))
}

func TestBrowserDownloadsWithTheKeyOfThePages(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, whole := s.madeCSV()
	secret := strings.TrimPrefix(s.key("desk", api.ScopeRead)[1], "Bearer ")
	basic := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("anybody:"+secret))}
	path := fmt.Sprintf("/reports/%d/download", id)
	if got := s.get(path, basic...); got.status != http.StatusOK || got.body != whole || got.header.Get("Content-Disposition") != "attachment; filename=order-lines.csv" {
		t.Errorf("%d %v %q", got.status, got.header, got.body)
	}
	if got := s.get(path, append([]string{"Range", "bytes=0-5"}, basic...)...); got.status != http.StatusPartialContent || got.body != whole[:6] {
		t.Errorf("a browser that goes on: %d %q", got.status, got.body)
	}
	if got := s.get(path); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" || strings.Contains(got.body, "A-1") {
		t.Errorf("without a key: %d %s", got.status, got.body)
	}
}
