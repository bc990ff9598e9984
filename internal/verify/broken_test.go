package verify_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/verify"
)

// breakage is what some program, person or bug did behind the back of all rules, and what all checks
// together find then: "check: key what is wrong". {number} stands for the id of an order.
type breakage struct {
	name string
	sql  string
	want []string
}

var breakages = []breakage{
	{"an effect was lost",
		`delete from order_effects where effect = 'stock' and order_id = {sold}`,
		[]string{"order_effects: {sold} is processed, but has the effect stock 0 times and ledger 1 times"}},
	{"an effect was applied twice, in a database without its key",
		`alter table order_effects drop constraint order_effects_pkey;
		 insert into order_effects (order_id, effect, applied_at) values ({sold}, 'ledger', now())`,
		[]string{"order_effects: {sold} is processed, but has the effect stock 1 times and ledger 2 times"}},
	{"a waiting order has effects",
		`insert into order_effects (order_id, effect, applied_at) values ({waiting}, 'stock', now())`,
		[]string{"order_effects: {waiting} is awaiting_stock, but has the effect stock 1 times and ledger 0 times"}},
	{"an order with effects is gone",
		`insert into order_effects (order_id, effect, applied_at) values (4711, 'stock', now())`,
		[]string{"order_effects: 4711 does not exist, but has effects"}},

	{"a transition was lost",
		`delete from order_transitions where order_id = {patient} and to_status = 'awaiting_stock'`,
		[]string{"order_history: {patient} has transition {step of patient} from awaiting_stock to processed, but stood at placed"}},
	{"the last transition was lost",
		`delete from order_transitions where order_id = {sold}`,
		[]string{"order_history: {sold} is processed, but its transitions end at placed"}},
	{"an order became final twice",
		`insert into order_transitions (id, order_id, from_status, to_status, at) overriding system value values (901, {sold}, 'placed', 'processed', now())`,
		[]string{"order_history: {sold} has transition 901 from placed to processed, but stood at processed"}},
	{"an order left a final status",
		`insert into order_transitions (id, order_id, from_status, to_status, at) overriding system value values (901, {spoilt}, 'rejected', 'cancelled', now());
		 update orders set status = 'cancelled' where id = {spoilt}`,
		[]string{"order_history: {spoilt} has transition 901 from rejected to cancelled, which is not permitted"}},
	{"a status was written by hand",
		`update orders set status = 'cancelled' where id = {placed}`,
		[]string{"order_history: {placed} is cancelled, but its transitions end at placed"}},
	{"an order with transitions is gone",
		`insert into order_transitions (order_id, from_status, to_status, at) values (4711, 'placed', 'cancelled', now())`,
		[]string{"order_history: 4711 does not exist, but has transitions"}},

	{"the job of a placed order was discarded",
		`update river_job set state = 'discarded', finalized_at = now() where id = {job of placed}`,
		[]string{"order_progress: {placed} is placed and has no unfinished job; its last job, {job of placed}, was discarded"}},
	{"the job of a placed order was deleted",
		`delete from river_job where id = {job of placed}`,
		[]string{"order_progress: {placed} is placed and has no unfinished job; no job of it is known"}},
	{"the job of a woken order was cancelled",
		`update river_job set state = 'cancelled', finalized_at = now() where id = {job of woken}`,
		[]string{"order_progress: {woken} is awaiting_stock and has no unfinished job, but nothing that it waits for is short; its last job, {job of woken}, was cancelled"}},
	{"stock rose and nobody woke who waited",
		`update products set on_hand = 11 where sku = 'B';
		 insert into stock_movements (sku, quantity, reason, at) values ('B', 6, 'receipt', now())`,
		[]string{"order_progress: {waiting} is awaiting_stock and has no unfinished job, but nothing that it waits for is short; its last job, {job of waiting}, was completed"}},
	{"stock rose, and still does not suffice for the write-off as well",
		`update products set on_hand = 10 where sku = 'B';
		 insert into stock_movements (sku, quantity, reason, at) values ('B', 5, 'receipt', now())`,
		[]string{}},
	{"an order inserted by SQL was never enqueued",
		`update orders set created_at = '2026-01-01Z' where id = {typed};
		 insert into order_lines (order_id, line_no, sku, quantity, unit_price) values ({typed}, 1, 'A', 1, 1)`,
		[]string{"order_progress: {typed} was inserted at 2026-01-01 00:00:00+00 and never enqueued"}},
	{"an order inserted by SQL never got a line",
		`update orders set created_at = '2026-01-01Z' where id = {typed}`,
		[]string{"order_progress: {typed} was inserted at 2026-01-01 00:00:00+00 and has no lines, so nothing enqueues it"}},
	{"an order says it was enqueued, and was not",
		`update orders set enqueued = true where id = {typed}`,
		[]string{"order_progress: {typed} is placed and has no unfinished job; no job of it is known"}},

	{"the waits of an order were lost",
		`delete from order_waits where order_id = {waiting}`,
		[]string{
			"order_progress: {waiting} is awaiting_stock and has no unfinished job, but nothing that it waits for is short; its last job, {job of waiting}, was completed",
			"order_waits: {waiting} awaits stock, but order_waits has no row of it"}},
	{"an order waits for too little",
		`update order_waits set needed = 6 where order_id = {waiting}`,
		[]string{"order_waits: {waiting} waits for 6 of sku B, but its lines take 11"}},
	{"a cancelled order still waits",
		`insert into order_waits (sku, order_id, needed, since) values ('C', {dropped}, 4, now())`,
		[]string{"order_waits: {dropped} does not await stock, but order_waits has rows of it"}},

	{"stock changed without a movement",
		`update products set on_hand = on_hand - 1 where sku = 'A'`,
		[]string{"stock_conserved: A has 93 on hand, but its movements sum to 94"}},
	{"stock fell below zero, in a database without its rule",
		`alter table products drop constraint products_never_oversold;
		 update products set on_hand = -1 where sku = 'B';
		 insert into stock_movements (sku, quantity, reason, at) values ('B', -6, 'correction', now())`,
		[]string{"stock_conserved: B has -1 on hand"}},
	{"a product is gone, its movements are not",
		`delete from products where sku = 'A'`,
		[]string{"stock_conserved: A is no product, but has 6 movements"}},
	{"a product is no longer tracked, its movements are there",
		`update products set on_hand = null where sku = 'A'`,
		[]string{"stock_conserved: A is not tracked, but has 6 movements"}},

	{"a sale names no order",
		`insert into stock_movements (id, sku, quantity, reason, at) overriding system value values (901, 'B', -1, 'sale', now());
		 update products set on_hand = 4 where sku = 'B'`,
		[]string{"stock_reasons: 901 of sku B is a sale of no order"}},
	{"a receipt names an order",
		`insert into stock_movements (id, sku, quantity, reason, order_id, at) overriding system value values (901, 'A', 1, 'receipt', {free}, now());
		 update products set on_hand = on_hand + 1 where sku = 'A'`,
		[]string{"stock_reasons: 901 of sku A is a receipt, but names order {free}"}},

	{"a sale moved too much",
		`update stock_movements set quantity = -7 where order_id = {sold};
		 update products set on_hand = on_hand - 3 where sku = 'A'`,
		[]string{"stock_of_orders: {sold} moved -7 of sku A, but its lines ask for -4"}},
	{"a sale took its stock twice, in a database without the key",
		`alter table stock_movements drop constraint stock_movements_order_id_sku_reason_key;
		 insert into stock_movements (sku, quantity, reason, order_id, at) values ('A', -4, 'sale', {sold}, now());
		 update products set on_hand = on_hand - 4 where sku = 'A'`,
		[]string{"stock_of_orders: {sold} moved -8 of sku A, but its lines ask for -4"}},
	{"a write-off was lost, the sale beside it was not",
		`delete from stock_movements where order_id = {mixed} and reason = 'write_off';
		 update products set on_hand = on_hand + 1 where sku = 'A'`,
		[]string{"stock_of_orders: {mixed} wrote off 0 of sku A, but its lines ask for 1"}},
	{"a sale moved what no line asks for",
		`insert into stock_movements (sku, quantity, reason, order_id, at) values ('B', -1, 'sale', {sold}, now());
		 update products set on_hand = 4 where sku = 'B'`,
		[]string{"stock_of_orders: {sold} moved -1 of sku B, but its lines ask for 0"}},
	{"a return moved stock as a sale",
		`update stock_movements set reason = 'sale' where order_id = {returned}`,
		[]string{"stock_of_orders: {returned} is a credit, but has moved stock as a sale"}},
	{"a sale moved stock as a return",
		`update stock_movements set reason = 'credit' where order_id = {free}`,
		[]string{"stock_of_orders: {free} is a sale, but has moved stock as a credit"}},
	{"a rejected order moved stock",
		`insert into stock_movements (sku, quantity, reason, order_id, at) values ('A', -1, 'write_off', {spoilt}, now());
		 update products set on_hand = on_hand - 1 where sku = 'A'`,
		[]string{"stock_of_orders: {spoilt} is rejected, but has moved stock"}},
	{"an order that moved stock is gone",
		`insert into stock_movements (sku, quantity, reason, order_id, at) values ('A', -1, 'sale', 4711, now());
		 update products set on_hand = on_hand - 1 where sku = 'A'`,
		[]string{"stock_of_orders: 4711 does not exist, but has moved stock"}},

	{"both entries of an order were lost",
		`delete from ledger_entries where order_id = {sold}`,
		[]string{"ledger_of_orders: {sold} comes to 7.002, but has receivable 0 and revenue 0 in 0 entries"}},
	{"both entries of an order are wrong alike",
		`update ledger_entries set amount = 2 * amount where order_id = {sold}`,
		[]string{"ledger_of_orders: {sold} comes to 7.002, but has receivable 14.004 and revenue -14.004 in 2 entries"}},
	{"an order is out of balance",
		`update ledger_entries set amount = -7.0021 where order_id = {sold} and account = 'revenue'`,
		[]string{
			"ledger_of_orders: {sold} comes to 7.002, but has receivable 7.002 and revenue -7.0021 in 2 entries",
			"ledger_balance: {sold} has entries that sum to -0.0001",
			"ledger_total: GBP has entries that sum to -0.0001"}},
	{"entries that cancel each other, in a database without the key",
		`alter table ledger_entries drop constraint ledger_entries_order_id_account_key;
		 insert into ledger_entries (order_id, account, amount, at) values ({free}, 'revenue', 1, now()), ({free}, 'revenue', -1, now())`,
		[]string{"ledger_of_orders: {free} comes to 0, but has receivable 0 and revenue 0 in 2 entries"}},
	{"a waiting order has entries",
		`insert into ledger_entries (order_id, account, amount, at) values ({waiting}, 'receivable', 9, now()), ({waiting}, 'revenue', -9, now())`,
		[]string{"ledger_of_orders: {waiting} is awaiting_stock, but has 2 ledger entries"}},
	{"an order with entries is gone",
		`insert into ledger_entries (order_id, account, amount, at) values (4711, 'receivable', 9, now()), (4711, 'revenue', -9, now())`,
		[]string{"ledger_of_orders: 4711 does not exist, but has ledger entries"}},
	{"two orders of one currency are out of balance, and hide it from the total",
		`update ledger_entries set amount = amount + 1 where order_id = {sold} and account = 'revenue';
		 update ledger_entries set amount = amount - 1 where order_id = {returned} and account = 'revenue'`,
		[]string{
			"ledger_of_orders: {sold} comes to 7.002, but has receivable 7.002 and revenue -6.002 in 2 entries",
			"ledger_of_orders: {returned} comes to -5, but has receivable -5 and revenue 4 in 2 entries",
			"ledger_balance: {sold} has entries that sum to 1",
			"ledger_balance: {returned} has entries that sum to -1"}},

	{"a tick ran twice, in a database without the key",
		`alter table schedule_runs drop constraint schedule_runs_pkey;
		 insert into schedule_runs select * from schedule_runs where tick_at = '2026-01-01Z'`,
		[]string{
			"schedule_ticks: often at 2026-01-01 00:00:00+00 is in the ledger 2 times",
			"schedule_due: often at 2026-01-01T00:00:00Z is in the ledger, but was not due"}},
	{"an enqueued tick names no job",
		`update schedule_runs set job_id = null where tick_at = '2026-01-01 00:00:30Z'`,
		[]string{"schedule_ticks: often at 2026-01-01 00:00:30+00 was enqueued, but names no job"}},
	{"two ticks share a job",
		`update schedule_runs set outcome = 'enqueued' where job_id is not null`,
		[]string{"schedule_jobs: {tick} serves 2 ticks"}},
	{"a tick was kept from having a job by one that is not unique",
		`update river_job set unique_key = null where id = {tick}`,
		[]string{"schedule_jobs: {tick} of kind reconcile_orders kept 1 ticks from a job of their own, but is not unique"}},
	{"a schedule was set back",
		`update schedules set next_run_at = '2026-01-01 00:01:00Z'`,
		[]string{"schedule_next: often is next due at 2026-01-01 00:01:00+00, a tick that was settled before"}},
	{"a tick was lost",
		`delete from schedule_runs where outcome = 'enqueued'`,
		[]string{"schedule_due: often at 2026-01-01T00:00:30Z was due, but is not in the ledger"}},
	{"a schedule was set forward",
		`update schedules set next_run_at = '2026-01-01 00:06:00Z'`,
		[]string{
			"schedule_due: often at 2026-01-01T00:05:00Z was due, but is not in the ledger",
			"schedule_due: often at 2026-01-01T00:05:30Z was due, but is not in the ledger"}},
	{"a pause was forgotten",
		`update schedule_gaps set until_at = '2026-01-01 00:04:30Z'`,
		[]string{"schedule_due: often at 2026-01-01T00:04:30Z was due, but is not in the ledger"}},
	{"a tick ran between two",
		`insert into schedule_runs (schedule, tick_at, outcome) values ('often', '2026-01-01 00:00:31Z', 'skipped')`,
		[]string{"schedule_due: often at 2026-01-01T00:00:31Z is in the ledger, but was not due"}},
	{"a tick ran in a pause",
		`insert into schedule_runs (schedule, tick_at, outcome) values ('often', '2026-01-01 00:03:00Z', 'skipped')`,
		[]string{"schedule_due: often at 2026-01-01T00:03:00Z is in the ledger, but was not due"}},
	{"what cleanup has deleted is not missed",
		`insert into cleanup_runs (policy, target, cutoff) values ('schedule-runs', 'schedule_runs', '2026-01-01 00:00:45Z');
		 delete from schedule_runs where tick_at < '2026-01-01 00:00:45Z'`,
		[]string{}},
	{"a dry run of cleanup explains no missing tick",
		`insert into cleanup_runs (policy, target, cutoff, dry_run) values ('schedule-runs', 'schedule_runs', '2026-01-01 00:00:45Z', true);
		 delete from schedule_runs where tick_at = '2026-01-01 00:00:30Z'`,
		[]string{"schedule_due: often at 2026-01-01T00:00:30Z was due, but is not in the ledger"}},
	{"a spec was written by hand that nobody can read",
		`update schedules set spec = 'now and then'`,
		[]string{`schedule_due: often is never due: spec "now and then": has 3 fields; a cron line has five, minute hour day-of-month month day-of-week, such as "30 6 * * MON-FRI"; an interval is written as "every 30s"`}},

	{"a final job is not finalized, in a database without the rule",
		`alter table river_job drop constraint finalized_or_finalized_at_null;
		 update river_job set finalized_at = null where id = {job of sold}`,
		[]string{"job_states: {job of sold} is completed, but not finalized"}},
	{"an unfinished job is finalized, in a database without the rule",
		`alter table river_job drop constraint finalized_or_finalized_at_null;
		 update river_job set finalized_at = '2026-01-01Z' where id = {job of placed}`,
		[]string{"job_states: {job of placed} is available, but was finalized at 2026-01-01 00:00:00+00"}},
	{"a job made more attempts than it may",
		`update river_job set attempt = 11 where id = {job of placed}`,
		[]string{"job_states: {job of placed} has made 11 of 10 attempts"}},
	{"a job runs nowhere",
		`update river_job set state = 'running', attempt = 1, attempted_at = now() where id = {job of placed}`,
		[]string{"job_states: {job of placed} is running, but its attempt, its start or its worker process is missing"}},
	{"a unique job exists twice, in a database without the index",
		`drop index river_job_unique_idx;
		 insert into river_job (id, kind, queue, args, max_attempts, unique_key, unique_states)
		 select 9000, kind, queue, args, max_attempts, unique_key, unique_states from river_job where id = {job of placed}`,
		[]string{"job_uniqueness: {job of placed} is not the only one of kind process_order in its place: there are 2, job 9000 the last"}},
	{"a crash was counted backwards, in a database without the rule",
		`alter table job_crashes drop constraint job_crashes_crash_count_check;
		 update job_crashes set crash_count = 0`,
		[]string{"job_crashes: 1 has a crash count of 0"}},

	{"a complete report lost its artifact",
		`delete from artifacts where report_id = 41`,
		[]string{"report_artifacts: 41 is completed, but has no artifact"}},
	{"an artifact appeared before its report was complete",
		`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at) values (42, '', '', 2, 20, sha256(''), 1, '1s', now())`,
		[]string{"report_artifacts: 42 is running, but has an artifact"}},
	{"an artifact belongs to no report",
		`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at) values (4711, '', '', 0, 0, sha256(''), 0, '1s', now())`,
		[]string{"report_artifacts: 4711 does not exist, but has an artifact"}},
	{"a report expired, but its artifact did not",
		`update reports set expired_at = '2026-01-01Z' where id = 41`,
		[]string{"report_artifacts: 41 expired at 2026-01-01 00:00:00+00, but its artifact is not being deleted"}},
	{"a manifest was written by hand",
		`update artifacts set bytes = 31, rows = 4 where report_id = 41`,
		[]string{"report_artifacts: 41 has 3 rows in 30 bytes, but its manifest says 4 in 31", "report_parts: 41 has parts of 30 bytes, but its manifest says 31"}},
	{"a part was lost",
		`delete from artifact_parts where report_id = 41 and part_no = 2`,
		[]string{"report_parts: 41 has 1 parts, but its manifest says 2"}},
	{"a part between others was lost",
		`update artifact_parts set part_no = 3 where report_id = 41 and part_no = 2`,
		[]string{"report_parts: 41 has 2 parts, but the last is number 3"}},
	{"a part has other rows",
		`update artifact_parts set rows = 3 where location = 'postgres:a'`,
		[]string{"report_parts: 41 has parts of 4 rows, but its manifest says 3"}},
	{"cleanup could take a part of an artifact",
		`insert into temp_files (location) values ('postgres:b')`,
		[]string{"report_parts: 41 is completed, but 1 of its parts are registered for cleanup"}},
	{"a failed report kept parts",
		`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id) values (43, 1, 'postgres:d', 1, 1, sha256(''), '', 1)`,
		[]string{"report_parts: 43 is failed, but has 1 parts"}},
	{"a held row is being deleted",
		`update temp_files set deleting_at = '2026-01-02Z'`,
		[]string{"holds: temp_files 1 is held since 2026-01-01 00:00:00+00, and being deleted since 2026-01-02 00:00:00+00"}},
	{"a hold was written by SQL on a row that was being deleted",
		`update temp_files set deleting_at = '2025-12-31Z'`,
		[]string{}},
	{"a held artifact was deleted",
		`update reports set expired_at = '2026-01-02Z' where id = 1`,
		[]string{"holds: artifacts 1 is held since 2026-01-01 00:00:00+00, and was deleted at 2026-01-02 00:00:00+00"}},
	{"an object lost a chunk",
		`delete from stored_chunks where n = 0`,
		[]string{"stored_objects: x has 1 chunks, the last of them number 1"}},
	{"an object lost its end",
		`delete from stored_chunks where n = 1`,
		[]string{"stored_objects: x is 7 bytes long, but its chunks are 4"}},
	{"an object is gone, in a database without the foreign key",
		`delete from stored_objects where path = 'x'`,
		[]string{"stored_objects: x has chunks, but does not exist"}},
	{"a chunk is short in the middle",
		`update stored_objects set bytes = 10 where path = 'x';
		 insert into stored_chunks (path, n, content) values ('x', 2, '890')`,
		[]string{"stored_objects: x has chunks of different lengths before the last"}},
}

// One shop serves all cases: each breaks it in a transaction of its own that is rolled back.
func TestBrokenRuleIsFoundAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.furnish()
	names := s.names()
	complained := map[string]bool{}
	for _, tc := range breakages {
		t.Run(tc.name, func(t *testing.T) {
			got := s.found(names.Replace(tc.sql))
			want := make([]string, len(tc.want))
			for i, line := range tc.want {
				want[i] = names.Replace(line)
				name, _, _ := strings.Cut(line, ":")
				complained[name] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("offenders (-want +got):\n%s", diff)
			}
		})
	}
	for _, check := range verify.Checks() {
		if !complained[check.Name] {
			t.Errorf("no case makes check %s complain", check.Name)
		}
	}
}

// found breaks the shop, without triggers and foreign keys, and answers what all checks find.
func (s *shop) found(sql string) []string {
	s.t.Helper()
	ctx := s.t.Context()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(ctx, `set local session_replication_role = replica;`+sql); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	results, err := verify.RunIn(ctx, tx, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return offenders(results)
}
