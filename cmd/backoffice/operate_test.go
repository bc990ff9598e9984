package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatOperatorsTypeIsWrittenDown(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	discarded := s.discard("7001")
	var open placedOrder
	s.json(&open, "orders", "place", "--number", "7002", "--line", "A:1:1")
	var other []struct {
		ID int64 `json:"id"`
	}
	s.text("enqueue", "reconcile-orders")
	s.json(&other, "jobs", "list", "--kind", "reconcile_orders")
	s.exec(`insert into river_queue (name, created_at, updated_at) values ('orders', now(), now())`) // as a worker process does

	s.text("jobs", "retry", fmt.Sprint(discarded.JobID))
	s.text("jobs", "cancel", fmt.Sprint(other[0].ID))
	s.text("orders", "cancel", "--number", "7002", "--reason", "customer called")
	s.text(generate()...)
	s.text("reports", "cancel", "1")
	s.text("queues", "pause", "orders", "--reason", "stocktaking")
	s.text("queues", "resume", "orders")
	s.text("api-keys", "create", "shop", "--scope", "read")
	s.text("api-keys", "revoke", "shop")
	refused(t, s.try("jobs", "cancel", fmt.Sprint(other[0].ID)), exitFailed, "already") // no act: it did nothing

	var acts []struct {
		At                            time.Time
		Actor, Action, Target, Reason string
	}
	s.json(&acts, "audit")
	slices.Reverse(acts)
	var got []string
	for _, act := range acts {
		if !strings.HasPrefix(act.Actor, "cli ") || !strings.Contains(act.Actor, "@") || act.At.IsZero() {
			t.Errorf("%+v does not say who and when", act)
		}
		got = append(got, strings.TrimSpace(act.Action+" "+act.Target+" "+act.Reason))
	}
	want := []string{
		fmt.Sprintf("retry_job job %d", discarded.JobID), fmt.Sprintf("cancel_job job %d", other[0].ID),
		fmt.Sprintf("cancel_order order %d customer called", open.ID), "cancel_report report 1",
		"pause_queue queue orders stocktaking", "resume_queue queue orders", "create_api_key key shop read", "revoke_api_key key shop",
	}
	if !slices.Equal(got, want) {
		t.Errorf("acts:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	contains(t, s.text("audit", "--target", "queue orders", "--limit", "1"), "resume_queue")
	contains(t, s.text("audit", "--target", "queue nope"), `no operator has done anything to "queue nope"`)
	contains(t, s.text("audit", "--after", "1"), "no operator has done anything before that")
	s.json(&acts, "audit", "--target", "queue orders")
	if len(acts) != 2 {
		t.Errorf("%d acts on queue orders, want 2", len(acts))
	}
}

func TestPausedQueueIsListedAndWorksNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	refused(t, s.try("queues", "pause", "orders"), exitFailed, `queue "orders" does not exist`)
	refused(t, s.try("queues", "pause"), exitUsage, "NAME")
	s.process()
	contains(t, s.text("queues", "pause", "orders"), "queue orders is paused")
	s.text("orders", "place", "--number", "7001", "--line", "A:1:1")
	type depth struct {
		Queue     string     `json:"queue"`
		Available int        `json:"available"`
		PausedAt  *time.Time `json:"paused_at"`
	}
	var depths []depth
	s.json(&depths, "queues", "list")
	at := slices.IndexFunc(depths, func(d depth) bool { return d.Queue == "orders" })
	if at < 0 || depths[at].Available != 1 || depths[at].PausedAt == nil {
		t.Errorf("queues = %+v, want orders paused with one job", depths)
	}
	contains(t, s.text("queues", "list"), "QUEUE", "orders")
	contains(t, s.text("queues", "resume", "orders"), "queue orders is resumed")
	s.process()
	contains(t, s.text("orders", "show", "--number", "7001"), "is processed")
}
