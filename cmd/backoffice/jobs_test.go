package main

import (
	"fmt"
	"testing"

	"github.com/riverqueue/river/rivertype"
)

// discard ends the job of a new order as one whose attempts were used up.
func (s shop) discard(number string) placedOrder {
	s.t.Helper()
	var placed placedOrder
	s.json(&placed, "orders", "place", "--number", number, "--line", "A:1:1")
	s.exec(`update river_job
	           set state = 'discarded', attempt = 10, attempted_at = now(), finalized_at = now(),
	               errors = array[jsonb_build_object('at', now(), 'attempt', 10, 'error', format('order %s: connection refused', $2::text), 'trace', '')]
	         where id = $1`, placed.JobID, number)
	return placed
}

func TestDiscardedJobIsFoundByItsCauseAndBroughtHome(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	one, two := s.discard("7001"), s.discard("7002")
	var failures []struct {
		Kind      string  `json:"kind"`
		State     string  `json:"state"`
		Jobs      string  `json:"jobs"`
		LastError string  `json:"last_error"`
		SampleIDs []int64 `json:"sample_job_ids"`
		RetryWith string  `json:"retry_with"`
	}
	s.json(&failures, "inspect", "failures")
	if len(failures) != 1 || failures[0].Jobs != "2" || failures[0].State != "discarded" || len(failures[0].SampleIDs) != 2 {
		t.Fatalf("failures = %+v, want both jobs in one row", failures)
	}
	contains(t, failures[0].LastError, "connection refused")
	if want := fmt.Sprintf("backoffice jobs retry %d %d", two.JobID, one.JobID); failures[0].RetryWith != want {
		t.Errorf("retry_with = %q, want %q", failures[0].RetryWith, want)
	}
	contains(t, s.text("jobs", "show", fmt.Sprint(one.JobID)), "state         discarded", "10 of 10", "connection refused", `{"order_id":`)

	contains(t, s.text("jobs", "retry", fmt.Sprint(one.JobID), fmt.Sprint(two.JobID)), "available", "10 of 11")
	s.process()
	contains(t, s.text("orders", "show", "--number", "7001"), "is processed")
	contains(t, s.text("orders", "show", "--number", "7002"), "is processed")
	if printed := s.text("inspect", "failures"); printed != "no rows\n" {
		t.Errorf("failures = %q, want none", printed)
	}
}

func TestJobsAreListedByStateKindAndQueuePageByPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	discarded := s.discard("7001")
	s.text("orders", "place", "--line", "A:1:1")
	s.text("enqueue", "reconcile-orders")
	for _, tc := range []struct {
		args []string
		want int
	}{
		{nil, 3},
		{[]string{"--state", "discarded"}, 1},
		{[]string{"--state", "discarded", "--state", "available"}, 3},
		{[]string{"--kind", "process_order"}, 2},
		{[]string{"--queue", "maintenance"}, 1},
		{[]string{"--kind", "nobody"}, 0},
		{[]string{"--limit", "2"}, 2},
		{[]string{"--after", fmt.Sprint(discarded.JobID + 1)}, 1},
	} {
		var found []job
		s.json(&found, append([]string{"jobs", "list"}, tc.args...)...)
		if len(found) != tc.want {
			t.Errorf("jobs list %v: %d jobs, want %d", tc.args, len(found), tc.want)
		}
	}
	contains(t, s.text("jobs", "list"), "ID  KIND", "reconcile_orders", "maintenance", "order 7001: connection refused")
}

func TestJobIsCancelledOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var enqueued enqueuedJob
	s.json(&enqueued, "enqueue", "reconcile-orders")
	var cancelled []job
	s.json(&cancelled, "jobs", "cancel", fmt.Sprint(enqueued.JobID))
	if len(cancelled) != 1 || cancelled[0].State != rivertype.JobStateCancelled {
		t.Errorf("cancelled %+v, want the job", cancelled)
	}
	refused(t, s.try("jobs", "cancel", fmt.Sprint(enqueued.JobID)), exitFailed, "is cancelled already")
}

func TestJobThatAnOrderDependsOnIsNotCancelledAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var placed placedOrder
	s.json(&placed, "orders", "place", "--line", "A:1:1")
	refused(t, s.try("jobs", "cancel", fmt.Sprint(placed.JobID)), exitFailed, "backoffice orders cancel 1")
	s.text("orders", "cancel", "1")
	refused(t, s.try("jobs", "cancel", fmt.Sprint(placed.JobID)), exitFailed, "is cancelled already")
}

func TestRetryRefusesWhatCannotRunAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	placed := s.discard("7001")
	s.text("enqueue", "process-order", "--number", "7001")
	refused(t, s.try("jobs", "retry", fmt.Sprint(placed.JobID)), exitFailed, "another unfinished job does the same")
	s.exec(`update river_job set state = 'running', attempted_at = now() where state = 'available'`)
	refused(t, s.try("jobs", "retry", fmt.Sprint(placed.JobID+1)), exitFailed, "is running")
}
