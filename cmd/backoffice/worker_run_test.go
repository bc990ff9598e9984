package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestOnceLeavesWhatIsNotDueAndUntilEmptyWaitsForIt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.text("orders", "place", "--number", "7001", "--line", "A:1:1")
	s.text("orders", "place", "--number", "7002", "--line", "A:1:1")
	s.exec(`update river_job set state = 'scheduled', scheduled_at = now() + interval '2 seconds' where args ->> 'order_id' = (select id::text from orders where number = '7002')`)
	var once, empty struct {
		Completed int           `json:"completed"`
		Left      queue.Backlog `json:"left"`
	}
	s.json(&once, "worker", "--once")
	if once.Completed != 1 || once.Left != (queue.Backlog{Scheduled: 1}) {
		t.Errorf("--once: %+v, want one job completed and one left as scheduled", once)
	}
	s.json(&empty, "worker", "--until-empty")
	if empty.Completed != 1 || empty.Left != (queue.Backlog{}) {
		t.Errorf("--until-empty: %+v, want one job completed and none left", empty)
	}
}

func TestInsertedBySQLIsProcessedWithoutAnyCommand(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into orders (number, created_at) values ('PSQL-1', now() - interval '5 seconds')`)
	s.exec(`insert into order_lines (order_id, line_no, sku, quantity, unit_price) select id, 1, 'A', 2, 1.25 from orders where number = 'PSQL-1'`)
	s.exec(`insert into schedules (name, kind, args, spec, catch_up, built_in, next_run_at) values ('reconcile-orders', 'reconcile_orders', '{}', 'every 30s', 'latest', true, to_timestamp(floor(extract(epoch from now()) / 30) * 30))`) // the last tick
	s.startWorkers(1)
	pgtest.Eventually(t, "the order is processed", func() (bool, error) {
		return s.number(`select count(*) from orders where number = 'PSQL-1' and status = 'processed'`) == 1, nil
	})
	type schedule struct {
		Name        string    `json:"name"`
		LastOutcome string    `json:"last_outcome"`
		Next        time.Time `json:"next_run_at"`
	}
	var schedules []schedule
	s.json(&schedules, "inspect", "schedules")
	at := slices.IndexFunc(schedules, func(s schedule) bool { return s.Name == "reconcile-orders" })
	if at < 0 || schedules[at].LastOutcome != "enqueued" || !schedules[at].Next.After(time.Now()) {
		t.Errorf("schedules = %+v, want the tick in the ledger and the next one to come", schedules)
	}
}

func TestHealthTellsTheStatesOfAWorker(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	worker := process(t, "worker", "--database-url", s.url, "--health-addr", "127.0.0.1:0", "--log-format", "json")
	stderr, err := worker.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	logs := bufio.NewScanner(stderr)
	var line struct {
		Address string `json:"address"`
	}
	seen := strings.Split(strings.TrimSpace(readUntil(logs, `"health served"`)), "\n")
	if err := json.Unmarshal([]byte(seen[len(seen)-1]), &line); err != nil || line.Address == "" {
		t.Fatalf("no address in %q: %v", seen, err)
	}
	go io.Copy(io.Discard, stderr) //nolint:errcheck // ends with the program
	ask := func(path string) (int, string) {
		answer, err := http.Get("http://" + line.Address + path)
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	pgtest.Eventually(t, "the worker is ready", func() (bool, error) { code, _ := ask("/readyz"); return code == http.StatusOK, nil })
	if code, body := ask("/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d %s", code, body)
	}
	s.exec(`delete from backoffice_migrations where name like '005%'`)
	if code, body := ask("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "backoffice migrate up") {
		t.Errorf("/readyz with an old schema = %d %s", code, body)
	}
}

// A pooler in transaction mode knows neither session locks nor prepared statements nor settings of a session.
func TestPollOnlyWorksWithoutWhatAPoolerLacks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(40)
	s.url += "&default_query_exec_mode=exec"
	worker := s.startWorkers(1, "--poll-only", "--log-level", "warn")[0]
	pgtest.Eventually(t, "every order is processed", func() (bool, error) {
		return s.number(`select count(*) from river_job where kind = 'process_order' and state in ('completed', 'cancelled')`) == 40, nil
	})
	contains(t, s.text("enqueue", "reconcile-orders", "--wait"), "is completed")
	if n := s.number(`select count(*) from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())`); n != 0 {
		t.Errorf("%d session locks are held", n)
	}
	if n := s.number(`select count(*) from worker_processes where poll_only and beat_at > now() - interval '5 seconds'`); n != 1 {
		t.Errorf("%d processes beat, want 1", n)
	}
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := worker.Wait(); err != nil {
		t.Errorf("worker ended with %v", err)
	}
	contains(t, s.text("verify"), "hold")
}
