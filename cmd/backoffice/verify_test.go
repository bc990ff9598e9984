package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"backoffice/internal/pgtest"
	"backoffice/internal/verify"
)

// allChecks are those of the tables and that of the artifacts' bytes.
var allChecks = len(verify.Checks()) + 1

func TestVerifyTellsWhatItChecked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(50)
	s.text("worker", "--once")
	printed := s.text("verify")
	contains(t, printed, "CHECK", "LOOKED_AT", "50  orders", "0  ticks", fmt.Sprintf("all %d checks hold", allChecks))
	for _, check := range verify.Checks() {
		contains(t, printed, check.Name)
	}
	contains(t, printed, verify.ArtifactCheck.Name)
	var checks []verifiedCheck
	s.json(&checks, "verify")
	if len(checks) != allChecks {
		t.Fatalf("%d checks in JSON, want %d", len(checks), allChecks)
	}
	first := checks[0]
	if first.Check != "order_effects" || first.LookedAt != 50 || first.Offenders != 0 || first.Shown == nil || first.What == "" {
		t.Errorf("first check = %+v", first)
	}
}

func TestVerifyFailsWithTheOffendersNamed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(50)
	s.text("worker", "--once")
	s.exec(`delete from order_effects where effect = 'ledger'`)
	s.exec(`update products set on_hand = on_hand + 1 where sku = 'TIN'`)
	lost := s.number(`select count(*) from orders where status = 'processed'`)
	first := s.number(`select min(id) from orders where status = 'processed'`)
	sentence := fmt.Sprintf("backoffice: verify found %d offenders in 2 of %d checks: order_effects, stock_conserved\n", lost+1, allChecks)

	r := s.try("verify")
	if r.code != exitFailed || r.stderr != sentence {
		t.Errorf("exit code %d, stderr %q; want %d and %q", r.code, r.stderr, exitFailed, sentence)
	}
	contains(t, r.stdout,
		"\norder_effects: a processed order has each of its two effects once",
		fmt.Sprintf("\n  order %d is processed, but has the effect stock 1 times and ledger 0 times\n", first),
		fmt.Sprintf("\n  and %d more\n", lost-verify.MostShown),
		"\n  product TIN has ")
	if strings.Contains(r.stdout, "checks hold") {
		t.Errorf("it says that all checks hold:\n%s", r.stdout)
	}

	r = s.try("verify", "--output", "json")
	if r.code != exitFailed || r.stderr != sentence {
		t.Errorf("with JSON: exit code %d, stderr %q; want %d and %q", r.code, r.stderr, exitFailed, sentence)
	}
	contains(t, r.stdout, fmt.Sprintf(`"key": "%d"`, first), `"key": "TIN"`, fmt.Sprintf(`"offenders": %d`, lost))
}

func TestVerifyOfAnInterruptedProgramSaysSo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := contextThatEnded(t)
	defer cancel()
	refused(t, backofficeWithin(t, ctx, "verify", "--database-url", s.url), exitFailed, "interrupted")
}

// Every snapshot is sound, not only the last: whatever commits, commits whole.
func TestVerifyHoldsAtEveryMomentUnderLoad(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill(400)
	s.startWorkers(2, "--queue", "orders=4")
	runs := 0
	pgtest.Eventually(t, "every job is final", func() (bool, error) {
		if r := s.try("verify"); r.code != exitOK {
			return false, fmt.Errorf("%s%s", r.stdout, r.stderr)
		}
		if runs++; runs%2 == 0 {
			s.text("products", "receive", "TIN", "3")
			s.text("products", "receive", "TEAPOT", "2")
		}
		return s.number(`select count(*) from river_job where kind = 'process_order' and finalized_at is null`) == 0, nil
	})
	t.Logf("verify ran %d times", runs)
}

func TestVerifyProgressNamesTheCheckThatRuns(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	checks := verify.Checks()[:2]
	p := &verifyProgress{w: &terminal, checks: checks}
	p.show()
	p.done(verify.Result{})
	p.done(verify.Result{})
	p.clear()
	want := "\r\x1b[Kcheck 1 of 2: " + checks[0].Name + "\r\x1b[Kcheck 2 of 2: " + checks[1].Name + "\r\x1b[K"
	if terminal.String() != want {
		t.Errorf("terminal shows %q, want %q", terminal.String(), want)
	}
	if p := newVerifyProgress(&terminal); p.w != nil {
		t.Error("a buffer passes for a terminal")
	}
}

func TestPluralAndSeconds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		n    int64
		noun string
		want string
	}{{0, "order", "orders"}, {1, "order", "order"}, {2, "currency", "currencies"}, {1, "currency", "currency"}} {
		if got := plural(tc.n, tc.noun); got != tc.want {
			t.Errorf("plural(%d, %q) = %q, want %q", tc.n, tc.noun, got, tc.want)
		}
	}
	if got := seconds(1234 * time.Millisecond); got != "1.23s" {
		t.Errorf("seconds = %q, want 1.23s", got)
	}
}
