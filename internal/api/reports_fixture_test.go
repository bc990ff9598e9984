package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
	"backoffice/internal/report"
	"backoffice/internal/store"
	"backoffice/workers"
)

// startWorker works the queues with so many workers each, until the function it answers is called.
func (s *shop) startWorker(clientID string, queues map[string]int) (stop func()) {
	s.t.Helper()
	inserter, err := queue.NewInserter(s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	registered, err := workers.Register(workers.Deps{Pool: s.pool, Jobs: inserter, Now: time.Now, Stores: s.stores(), Reports: report.Settings{Retention: report.DefaultRetention}})
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := queue.NewWorker(s.pool, queue.WorkerConfig{
		ClientID: clientID, Queues: queues, Workers: registered, Contracts: workers.Contracts(),
		SoftStop: 30 * time.Second, RescueAfter: time.Hour, Log: s.logger(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := client.Start(context.Background()); err != nil { // a test's own context ends before its cleanup
		s.t.Fatal(err)
	}
	return func() {
		s.t.Helper()
		if err := client.Stop(context.Background()); err != nil {
			s.t.Error(err)
		}
	}
}

// startReports works reports until the test ends.
func (s *shop) startReports() {
	s.t.Helper()
	s.t.Cleanup(s.startWorker("reports", map[string]int{"reports": 2}))
}

// stores are those of a process without --store.
func (s *shop) stores() *store.Stores {
	s.t.Helper()
	stores, err := store.Open(s.t.Context(), "postgres:", s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	return stores
}

// sell stores so many processed orders of one line each, on the days from 1 December 2010 on.
func (s *shop) sell(orders int) {
	s.t.Helper()
	s.exec(`
		with placed as (
		  insert into orders (number, country, placed_at, enqueued)
		  select 'S-' || (select count(*) from orders) + n, (array['France', 'United Kingdom', 'Eire'])[1 + n % 3], timestamptz '2010-12-01 09:00Z' + n % 180 * interval '1 day', true
		    from generate_series(1, $1) n
		  returning id)
		insert into order_lines (order_id, line_no, sku, quantity, unit_price)
		select id, 1, 'TIN', 1 + id % 5, 2.55 from placed`, orders)
	s.exec(`update orders set status = 'processed' where status = 'placed'`)
	s.exec(`insert into order_transitions (order_id, from_status, to_status, at) select id, 'placed', 'processed', placed_at from orders where not exists (select from order_transitions t where t.order_id = orders.id)`)
}

// lines is the body of a request for every order line as csv.
const lines = `{"type":"order-lines","format":"csv"}`

// askFor asks for a report and answers its id.
func (s *shop) askFor(body string, headers ...string) int64 {
	s.t.Helper()
	return must[api.RequestedReport](s, s.post("/api/reports/generate", body, headers...), http.StatusAccepted).ID
}

// finished waits for a report and answers it.
func (s *shop) finished(id int64) (r api.Report) {
	s.t.Helper()
	pgtest.Eventually(s.t, fmt.Sprintf("report %d is finished", id), func() (bool, error) {
		r = must[api.Report](s, s.get(fmt.Sprintf("/api/reports/%d", id)), http.StatusOK)
		return r.FinishedAt != nil, nil
	})
	return r
}

// made stores a completed report of the given parts without any work, and answers its id.
func (s *shop) made(contentType, fileName string, parts ...string) int64 {
	s.t.Helper()
	whole := strings.Join(parts, "")
	id := one[int64](s, `
		insert into reports (job_id, type, version, format, params, status, started_at, finished_at, watermark, rows, bytes, done)
		select coalesce(max(job_id), 1000000) + 1, 'order-lines', 1, 'csv', '{"timezone": "UTC"}', 'completed', now(), now(), 7, $2, $1, 1
		  from reports
		returning id`, len(whole), len(parts))
	all := sha256.New()
	for n, part := range parts {
		location, _, err := s.stores().Put(s.t.Context(), fmt.Sprintf("reports/%d/%d", id, n+1), strings.NewReader(part))
		if err != nil {
			s.t.Fatal(err)
		}
		all.Write([]byte(part))
		own := sha256.Sum256([]byte(part))
		s.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id) values ($1, $2, $3, 1, $4, $5, '', $6)`, id, n+1, location, len(part), own[:], n+1)
	}
	s.exec(`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at) values ($1, $2, $3, $7, $4, $5, $6, '2 seconds', now() + interval '30 days')`,
		id, contentType, fileName, len(whole), all.Sum(nil), len(parts), len(parts))
	return id
}

// madeCSV is a report of three parts.
func (s *shop) madeCSV() (id int64, whole string) {
	s.t.Helper()
	parts := []string{"number,amount\n", "A-1,2.55\n", "A-2,10.2\n"}
	return s.made("text/csv; charset=utf-8; header=present", "order-lines.csv", parts...), strings.Join(parts, "")
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// large is text of so many bytes that no two parts of it are alike.
func large(bytesWanted int) string {
	var b bytes.Buffer
	for n := 0; b.Len() < bytesWanted; n++ {
		fmt.Fprintf(&b, "%d,S-%d,TIN,6,2.55\n", n, n)
	}
	return b.String()[:bytesWanted]
}

func downloadPath(id int64) string { return fmt.Sprintf("/api/reports/%d/download", id) }

// reports and jobs that there are.
func (s *shop) counts(t *testing.T) string {
	t.Helper()
	return one[string](s, `select (select count(*) from reports) || ' reports, ' || (select count(*) from river_job where kind = 'generate_report') || ' jobs'`)
}
