package api_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestDocsShowTheWholeDocument(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	page := s.page("/api/docs", http.StatusOK)
	document := must[struct {
		Paths map[string]map[string]struct {
			OperationID string
			Summary     string
			Parameters  []struct{ Name string }
			Responses   map[string]struct{}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}](s, s.get("/api/openapi.json"), http.StatusOK)
	operations := 0
	for path, item := range document.Paths {
		for method, op := range item {
			operations++
			text := part(t, page, op.OperationID, "</section>")
			if !strings.HasPrefix(text, strings.ToUpper(method)+" "+path+" "+op.Summary) {
				t.Errorf("%s begins with %.200q", op.OperationID, text)
			}
			for status := range op.Responses {
				wants(t, text, status+" ")
			}
			for _, p := range op.Parameters {
				wants(t, text, p.Name)
			}
			wants(t, page, `href="#`+op.OperationID+`"`)
		}
	}
	if operations == 0 || strings.Count(page, `class="operation"`) != operations {
		t.Errorf("the page shows %d operations of %d", strings.Count(page, `class="operation"`), operations)
	}
	for name, schema := range document.Components.Schemas {
		text := part(t, page, "schema-"+name, "</section>")
		for field := range schema.Properties {
			wants(t, text, field)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if strings.Count(page, `id="`+link[1]+`"`) != 1 {
			t.Errorf("the link to #%s leads nowhere, or to two places", link[1])
		}
	}
}

// The examples are what people copy: they must work as they stand.
func TestExamplesOfTheDocsAreAccepted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.place(sale)
	s.exec(`update river_job set state = 'cancelled', finalized_at = now()`)
	s.exec(`insert into river_queue (name, created_at, updated_at) values ('orders', now(), now())`)
	page := s.page("/api/docs", http.StatusOK)
	commands := regexp.MustCompile(`(?s)<pre><code>(.*?)</code></pre>`).FindAllStringSubmatch(page, -1)
	for _, found := range commands {
		command := html.UnescapeString(found[1])
		words := regexp.MustCompile(`(?s)^curl (?:-X (\w+) )?` + regexp.QuoteMeta(s.url) + `(\S+)(.*)$`).FindStringSubmatch(command)
		if words == nil {
			t.Errorf("not a command for this server: %s", command)
			continue
		}
		method, path, body := words[1], strings.ReplaceAll(words[2], "41", "1"), ""
		if method == "" {
			method = http.MethodGet
		}
		if data := regexp.MustCompile(`(?s) -d '(.*)'$`).FindStringSubmatch(words[3]); data != nil {
			body = strings.ReplaceAll(data[1], "41", "1")
		}
		if method == http.MethodPost && strings.HasSuffix(path, "/cancel") && strings.Contains(path, "jobs") {
			s.exec(`delete from river_job where id <> $1`, id) // another of the same order would be a duplicate
			s.exec(`update river_job set state = 'available', finalized_at = null where id = $1`, id)
		}
		if strings.HasPrefix(path, "/api/schedules/") {
			s.exec(`insert into schedules (name, kind, spec) values ('night-check', 'reconcile_orders', '@daily') on conflict (name) do nothing`)
		}
		if strings.HasSuffix(path, "/batch") { // the same example again, whose number is taken by then
			s.exec(`truncate idempotency_keys`)
			body = strings.ReplaceAll(body, "536365", "536366")
		}
		if strings.HasSuffix(path, "/download") { // the one of the example is cancelled by then
			made, _ := s.madeCSV()
			path = downloadPath(made)
		}
		if got := s.do(method, path, body); got.status >= 300 {
			t.Errorf("%s\nanswers %d: %s", command, got.status, got.body)
		}
	}
	if len(commands) < 10 {
		t.Errorf("%d examples", len(commands))
	}
	wants(t, s.page("/api/docs", http.StatusOK, "X-Forwarded-Proto", "https"), strings.Replace(s.url, "http:", "https:", 1)+"/api/orders")
}
