package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The guards, as edits of the source that take them away. Whoever changes the source changes the edit.
var unguarding = []struct{ what, file, guarded, unguarded string }{
	{"the fence proves that the attempt is still ours", "internal/queue/group_tx.go",
		`case same && row.State == rivertype.JobStateRunning:`, `case true:`},
	{"the fence commits effects and final states together", "internal/queue/group_tx.go",
		`states.Queue(completeSQL, completed)`, `states.Queue("select 1")`},
	{"what is committed is left to the commit", "internal/queue/pilot.go", `case token.Ended != "" && len(rest) == 0:`, `case false:`},
	{"the pilot drops outcomes of attempts that are no longer ours", "internal/queue/pilot.go", `if !current[id] {`, `if false {`},
	{"a final order is left as it is", "internal/order/process.go", `c != nil && c.err == nil && !c.was.Final()`, `c != nil && c.err == nil`},
	{"an order whose effects are recorded is left as it is", "internal/order/candidate.go", `if applied && !c.was.Final() {`, `if applied && false {`},
	{"a final order takes no stock", "internal/order/candidate.go", ` in ('placed', 'awaiting_stock'))`, ` <> 'cancelled')`},
	{"an unchanged status has no effects", "internal/order/write.go", `if c.status == c.was {`, `if c.status == c.was && c.was != StatusProcessed {`},
}

// The guards that the database keeps.
var unguardingSQL = []string{
	`alter table order_effects drop constraint order_effects_pkey`,
	`alter table ledger_entries drop constraint ledger_entries_order_id_account_key`,
	`alter table stock_movements drop constraint stock_movements_order_id_sku_reason_key`,
}

// What a second run of an order leaves behind.
var doubled = map[string]string{
	"effects":        `select count(*) from (select from order_effects group by order_id, effect having count(*) > 1) doubled`,
	"ledger entries": `select count(*) from (select from ledger_entries group by order_id, account having count(*) > 1) doubled`,
	"movements":      `select count(*) from (select from stock_movements where order_id is not null group by order_id, sku, reason having count(*) > 1) doubled`,
}

// The test of the guarded program proves something only if it would see the harm: with the guards off,
// and all else as there, it does.
func TestChaosWithoutTheGuardsDoublesEffects(t *testing.T) {
	t.Parallel()
	form := chaosFormOf(t)
	s := newShop(t)
	for _, sql := range unguardingSQL {
		s.exec(sql)
	}
	s.slowDown()
	binary := buildUnguarded(t)
	arrivals := newArrivals(s, form)
	c := form.crew(s, func(args ...string) *exec.Cmd {
		program := exec.CommandContext(t.Context(), binary, args...)
		program.Env = []string{}
		return program
	})
	c.unguarded = true
	c.start(t.Context(), form.seed)
	const telling = 5 // of each: the short form ends when there are so many
	enough := func() bool {
		for _, sql := range doubled {
			if s.number(sql) < telling {
				return false
			}
		}
		return !chaosLong
	}
	counted := s.rage(c, func() { arrivals.run(form.orders, enough) })
	if _, err := c.finish(); err != nil {
		t.Error(err)
	}
	t.Logf("seed %d, faults %s", form.seed, tell(counted))
	s.logChaos()
	for what, sql := range doubled {
		n := s.number(sql)
		t.Logf("doubled %s: %d", what, n)
		if n == 0 {
			t.Errorf("no %s are doubled: this chaos does no harm that the guards would keep off", what)
		}
	}
	r := s.try("verify")
	if r.code != exitFailed {
		t.Errorf("verify: exit code %d, want %d", r.code, exitFailed)
	}
	contains(t, r.stderr, "order_effects", "ledger_of_orders", "stock_of_orders")
}

// buildUnguarded builds the program without its guards.
func buildUnguarded(t *testing.T) (binary string) {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for _, edit := range unguarding {
		path := filepath.Join(dir, edit.file)
		if _, read := sources[path]; !read {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources[path] = string(source)
		}
		if n := strings.Count(sources[path], edit.guarded); n != 1 {
			t.Fatalf("%s: the guard %q is found %d times, not once: its source has changed, so change the edit", edit.file, edit.what, n)
		}
		sources[path] = strings.Replace(sources[path], edit.guarded, edit.unguarded, 1)
	}
	out := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, path := range slices.Sorted(maps.Keys(sources)) {
		edited := filepath.Join(out, string(rune('a'+i))+".go")
		if err := os.WriteFile(edited, []byte(sources[path]), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = edited
	}
	encoded, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	binary, list := filepath.Join(out, "backoffice"), filepath.Join(out, "overlay.json")
	if err := os.WriteFile(list, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", list, "-o", binary, ".")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, printed)
	}
	return binary
}
